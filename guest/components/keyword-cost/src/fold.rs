//! What a character is for a reader: plain letters without case, accents or ornament, and what they may stand for.

use inferenceguard_guest::Passage;
use unicode_normalization::char::decompose_compatible;

/// A sigma that looks like a `c`; its decomposition is the common sigma, which does not.
const LUNATE_SIGMA: char = '\u{3f2}';

/// Gives the plain letters of a character; none if it shows nothing of its own.
pub(crate) fn fold(char: char, mut emit: impl FnMut(char)) {
    if char.is_ascii() && !Passage::is_invisible(char) {
        emit(char.to_ascii_lowercase());
    } else if matches!(char, LUNATE_SIGMA | '\u{3f9}') {
        emit(LUNATE_SIGMA);
    } else if !Passage::is_invisible(char) {
        decompose_compatible(char, |part| {
            part.to_lowercase().filter(|letter| !is_ornament(*letter)).for_each(|letter| plain(letter, &mut emit));
        });
    }
}

/// Signs on or in letters that change neither the letter nor the word: accents, circles and keys around letters, and
/// the vowel points and the stretching sign that Arabic and Hebrew are mostly written without.
fn is_ornament(char: char) -> bool {
    matches!(char,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5c7}' | '\u{640}' | '\u{64b}'..='\u{65f}'
        | '\u{670}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe20}'..='\u{fe2f}')
}

/// Latin letters that have no decomposition.
fn plain(letter: char, emit: &mut impl FnMut(char)) {
    let of_alphabet = |first: u32| char::from_u32(u32::from('a') + u32::from(letter) - first).unwrap_or(letter);
    emit(match letter {
        '\u{df}' => return "ss".chars().for_each(emit),
        '\u{e6}' => return "ae".chars().for_each(emit),
        '\u{153}' => return "oe".chars().for_each(emit),
        '\u{3c2}' => '\u{3c3}',
        '\u{f8}' => 'o',
        '\u{111}' | '\u{256}' | '\u{1d05}' => 'd',
        '\u{127}' | '\u{29c}' => 'h',
        '\u{131}' | '\u{269}' | '\u{26a}' | '\u{268}' => 'i',
        '\u{142}' | '\u{26b}' | '\u{29f}' | '\u{19a}' => 'l',
        '\u{167}' | '\u{1d1b}' => 't',
        '\u{192}' | '\u{a730}' => 'f',
        '\u{251}' | '\u{1d00}' => 'a',
        '\u{180}' | '\u{253}' | '\u{299}' => 'b',
        '\u{188}' | '\u{1d04}' => 'c',
        '\u{1d07}' => 'e',
        '\u{260}' | '\u{261}' | '\u{262}' => 'g',
        '\u{237}' | '\u{1d0a}' => 'j',
        '\u{138}' | '\u{199}' | '\u{1d0b}' => 'k',
        '\u{1d0d}' => 'm',
        '\u{14b}' | '\u{272}' | '\u{274}' => 'n',
        '\u{1d0f}' => 'o',
        '\u{1d18}' => 'p',
        '\u{280}' => 'r',
        '\u{a731}' => 's',
        '\u{1d1c}' => 'u',
        '\u{1d20}' => 'v',
        '\u{1d21}' => 'w',
        '\u{28f}' => 'y',
        '\u{1b6}' | '\u{1d22}' => 'z',
        // Letters in dark circles and squares, and those that flags are made of.
        '\u{1f150}'..='\u{1f169}' => of_alphabet(0x1f150),
        '\u{1f170}'..='\u{1f189}' => of_alphabet(0x1f170),
        '\u{1f1e6}'..='\u{1f1ff}' => of_alphabet(0x1f1e6),
        letter => letter,
    });
}

/// Leetspeak, and letters of other alphabets: the Latin letters that they look like, large or small. Two letters that look
/// like the same Latin one look alike.
pub(crate) fn look_alikes(letter: char) -> &'static str {
    match letter {
        '0' => "o",
        '1' | '!' | '|' => "il",
        '\u{a1}' => "i",
        '2' => "z",
        '3' => "e\u{437}",
        '\u{20ac}' => "e",
        '4' => "a\u{447}",
        '@' => "a",
        '5' | '$' => "s",
        '6' => "bg\u{431}",
        '7' | '+' => "t",
        '8' => "b",
        '9' => "g",
        '\u{430}' | '\u{3b1}' => "a",
        '\u{432}' | '\u{44a}' | '\u{44c}' | '\u{3b2}' => "b",
        '\u{441}' => "c",
        LUNATE_SIGMA => "c\u{3c3}",
        '\u{501}' => "d",
        '\u{435}' | '\u{454}' | '\u{4bd}' | '\u{4d9}' | '\u{259}' | '\u{3b5}' => "e",
        '\u{493}' => "f",
        '\u{50d}' | '\u{581}' => "g",
        '\u{43d}' | '\u{4a3}' | '\u{4bb}' | '\u{452}' | '\u{45b}' | '\u{570}' => "h",
        '\u{456}' | '\u{3b9}' | '\u{4cf}' => "il",
        '\u{458}' => "j",
        '\u{43a}' | '\u{49b}' | '\u{3ba}' => "k",
        '\u{43c}' => "m",
        '\u{3bc}' => "mu",
        '\u{3b7}' => "nh",
        '\u{43f}' | '\u{578}' | '\u{3c0}' => "n",
        '\u{43e}' | '\u{4e9}' | '\u{3bf}' | '\u{585}' => "o",
        '\u{440}' | '\u{3c1}' => "p",
        '\u{51b}' | '\u{563}' | '\u{566}' => "q",
        '\u{433}' | '\u{44f}' | '\u{491}' => "r",
        '\u{455}' => "s",
        '\u{442}' | '\u{3c4}' => "t",
        '\u{3c5}' => "uy",
        '\u{438}' | '\u{57d}' => "u",
        '\u{3bd}' => "vn",
        '\u{475}' => "v",
        '\u{448}' | '\u{461}' | '\u{51d}' | '\u{561}' | '\u{3c9}' => "w",
        '\u{445}' | '\u{4b3}' | '\u{3c7}' => "x",
        '\u{443}' | '\u{4af}' | '\u{3b3}' => "y",
        '\u{3b6}' => "z",
        _ => "",
    }
}
