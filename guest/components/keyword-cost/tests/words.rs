//! What is found, what is not, and where it is charged.

mod support;

use inferenceguard_guest::{Setup, Value};
use keyword_cost::KeywordCost;
use proptest::prelude::*;
use support::{configured, cost, finds, prices};

/// (entry, text, how often it is found)
fn check(cases: &[(&str, &str, u32)]) {
    let found = |(entry, text, _): &(&str, &str, u32)| finds(&cost(&[entry]), text);
    let wrong: Vec<_> = cases.iter().filter(|case| found(case) != case.2).map(|case| (case, found(case))).collect();
    assert!(wrong.is_empty(), "((entry, text, expected), found): {wrong:#?}");
}

#[test]
fn disguises_are_seen_through() {
    let disguises = [
        "kill",
        "KILL him",
        "(kill)",
        "k i l l",
        "k.i.l.l",
        "k-i-l-l",
        "k_i_l_l",
        "k . i . l . l",
        "ki-ll",
        "k1ll",
        "k!ll",
        "K1LL!",
        "k\u{a1}ll",
        "kiiill",
        "kiill",
        "killlll",
        "kkkill",
        "k1111111111111111111111111111111111111111ll",
        "k....................i....................l....................l",
        "\u{ff4b}\u{ff49}\u{ff4c}\u{ff4c}",
        "ki\u{200b}ll",
        "ki\u{ad}ll",
        "ki\u{3164}ll",
        "k\u{ed}ll",
        "ki\u{301}ll",
        "k\u{20e3}i\u{20e3}l\u{20e3}l\u{20e3}",
        "k\u{3099}i\u{e49}ll",
        "k\u{131}ll",
        "ki\u{142}\u{142}",
        "\u{1d0b}\u{26a}\u{29f}\u{29f}",
        "\u{1f1f0}\u{1f1ee}\u{1f1f1}\u{1f1f1}",
        "\u{1f17a}\u{1f178}\u{1f17b}\u{1f17b}",
        "I k i l l",
        "k i l l a man",
        "k i l l u",
        "k i l l u now",
        "u k i l l x",
        "k.i.l.l.u",
        "k i l l  u s",
        "\u{43a}ill",
        "\u{43a}\u{456}\u{4cf}\u{4cf}",
        "k'i'l'l",
        "\u{1d4f4}\u{1d4f2}\u{1d4f5}\u{1d4f5}",
        "kill2",
        "2kill",
        "99kill99",
        "kill\u{4ed6}",
        "\u{4ed6}kill",
    ];
    check(&disguises.map(|text| ("kill", text, 1)));
    check(&[
        ("bomb", "bomb2", 1),
        ("bomb", "2bomb", 1),
        ("bomb", "b0mb2", 1),
        ("ass", "@$$", 1),
        ("hate", "h8te h4t3", 1),
        ("stra\u{df}e", "STRASSE", 1),
        ("\u{44f}\u{434}", "\u{42f}\u{414}", 1),
        ("kill you", "kill\n you", 1),
        ("kill you", "kill\n\n\n\n\n\n\nyou", 1),
        ("kill you", "k i l l  y o u", 1),
        ("kill you", "k1ll, y0u", 1),
        ("kill*", "killers", 1),
        ("*kill", "overkill", 1),
        ("*kill", "overkkkill", 1),
        ("*kill*", "overkkkillers and skills", 2),
        ("na\u{ef}ve", "naive", 1),
        ("\u{142}ajno", "LAJNO", 1),
        ("don't", "don\u{2019}t", 1),
    ]);
}

/// For each letter of a word, the word with a look-alike in its place.
fn mixed(word: &str, alphabet: &[(char, char)]) -> Vec<String> {
    let swapped = |at: usize| {
        let other = |(n, own): (usize, char)| match alphabet.iter().find(|(from, _)| n == at && *from == own) {
            Some((_, to)) => *to,
            None => own,
        };
        word.chars().enumerate().map(other).collect::<String>()
    };
    (0..word.chars().count()).map(swapped).filter(|text| text != word).collect()
}

#[test]
fn look_alikes_are_seen_in_both_directions() {
    let cyrillic = [
        '\u{430}', '\u{432}', '\u{435}', '\u{43a}', '\u{43c}', '\u{43d}', '\u{43e}', '\u{440}', '\u{441}', '\u{442}',
        '\u{443}', '\u{445}',
    ];
    let cyrillic: Vec<(char, char)> = cyrillic.into_iter().zip("abekmhopctyx".chars()).collect();
    let greek = [
        '\u{3b1}', '\u{3b2}', '\u{3b5}', '\u{3b6}', '\u{3b7}', '\u{3b9}', '\u{3ba}', '\u{3bc}', '\u{3bd}', '\u{3bf}',
        '\u{3c1}', '\u{3c4}', '\u{3c5}', '\u{3c7}', '\u{3b3}',
    ];
    let greek: Vec<(char, char)> = greek.into_iter().zip("abezhikmnoptyxy".chars()).collect();
    for alphabet in [cyrillic, greek] {
        let back: Vec<(char, char)> = alphabet.iter().map(|(from, to)| (*to, *from)).collect();
        let theirs: String = alphabet.iter().map(|(letter, _)| letter).collect();
        let ours: String = back.iter().map(|(letter, _)| letter).collect();
        for (list, texts) in [(&theirs, mixed(&theirs, &alphabet)), (&ours, mixed(&ours, &back))] {
            let cost = cost(&[list]);
            assert!(texts.len() >= 10);
            let missed: Vec<_> = texts.iter().filter(|text| finds(&cost, text) != 1).collect();
            assert!(missed.is_empty(), "{list}: {missed:?}");
            // Capitals look alike, whatever the small letters do.
            let upper: Vec<_> = texts.iter().filter(|text| finds(&cost, &text.to_uppercase()) != 1).collect();
            assert!(upper.is_empty(), "{list}: {upper:?}");
        }
    }
    check(&[
        ("\u{43a}\u{443}\u{440}\u{43e}\u{43a}", "\u{43a}\u{443}\u{440}o\u{43a}", 1),
        ("\u{43a}\u{443}\u{440}\u{43e}\u{43a}", "\u{43a}y\u{440}0\u{43a}", 1),
        ("\u{43a}\u{443}\u{440}\u{43e}\u{43a}", "kypok", 1),
        ("\u{43f}\u{438}\u{437}\u{434}\u{430}", "\u{43f}\u{438}3\u{434}@", 1),
        ("\u{3b1}\u{3b2}\u{3bf}\u{3bd}", "\u{3b1}\u{3b2}o\u{3bd}", 1),
        ("\u{3b1}\u{3b2}\u{3bf}\u{3bd}", "\u{430}\u{3b2}\u{43e}\u{3bd}", 1),
        ("\u{3c3}\u{3bf}\u{3c6}\u{3cc}\u{3c2}", "\u{3f2}\u{3bf}\u{3c6}\u{3bf}\u{3f2}", 1),
        ("cop", "\u{3f2}op \u{3f9}OP", 2),
        // A digit of a list is that digit.
        ("1488", "l488 i4b8 \u{456}488", 0),
        ("\u{43a}\u{443}\u{440}\u{43e}\u{43a}", "\u{443}\u{440}\u{43e}\u{43a} \u{43a}\u{443}\u{440}\u{43a}\u{430}", 0),
    ]);
}

#[test]
fn look_alikes_beyond_the_common_ones_are_seen_in_both_directions() {
    let alike = [
        ("b", "\u{44a}\u{44c}"),
        ("e", "\u{454}\u{4bd}\u{4d9}\u{259}"),
        ("f", "\u{493}"),
        ("g", "\u{50d}\u{581}"),
        ("h", "\u{4a3}\u{452}\u{45b}\u{570}"),
        ("k", "\u{49b}"),
        ("n", "\u{43f}\u{3c0}"),
        ("o", "\u{4e9}"),
        ("q", "\u{563}\u{566}"),
        ("r", "\u{433}\u{44f}\u{491}"),
        ("u", "\u{438}"),
        ("v", "\u{475}"),
        ("w", "\u{448}\u{461}\u{561}\u{3c9}"),
        ("x", "\u{4b3}"),
        ("y", "\u{4af}"),
    ];
    for (latin, others) in alike {
        for other in others.chars() {
            let (ours, theirs) = (format!("mi{latin}da"), format!("mi{other}da"));
            for (entry, text) in [(&ours, &theirs), (&theirs, &ours)] {
                let cost = cost(&[entry]);
                assert_eq!((finds(&cost, text), finds(&cost, &text.to_uppercase())), (1, 1), "{entry}: {text}");
            }
        }
    }
    check(&[("kill", "\u{43a}i\u{43b}\u{43b}", 0), ("\u{43c}\u{438}\u{440}", "\u{43c}\u{44b}\u{440}", 0)]);
}

#[test]
fn strokes_are_read_either_way_in_words_of_mixed_case() {
    check(&[
        ("kill", "kiII kIll kiIl KlLL", 4),
        ("idiot", "IDlOT", 1),
        ("ill", "World War III, Henry VIII and I", 0),
        ("all", "ail fill Ali AI", 0),
        ("all", "aII", 1),
    ]);
}

#[test]
fn text_that_is_turned_round_is_read_both_ways() {
    check(&[
        ("kill", "\u{202e}llik\u{202c}", 1),
        ("kill", "I \u{202e}uoy llik\u{202c} now", 1),
        ("kill you", "I will \u{202e}uoy llik", 1),
        ("kill", "\u{202e}kill\u{202c}", 1),
        ("anna", "\u{202e}anna\u{202c}", 1),
        ("kill", "llik", 0),
        ("kill", "\u{202e}x\u{202c}llik\n\u{202e}llikx", 0),
    ]);
    let cost = cost(&["kill"]);
    assert_eq!(prices(&cost, "\u{202e}ll", &["i", "k", " u"]), [0.0, 1.0, 0.0], "at the letter that completes it");
    assert_eq!(prices(&cost, "\u{202e}llik", &["s u"]), [0.0]);
}

#[test]
fn other_words_are_left_alone() {
    check(&[
        ("ass", "class assess pass asset bass", 0),
        ("ass", "c l a s s", 0),
        ("ass", "a s s i g n", 0),
        ("ass", "455", 0),
        ("ass", "cl4ss gl@ss pa55word", 0),
        ("ill", "never!!!! |||", 0),
        ("ill", "111", 0),
        ("ass", "as sure", 0),
        ("ass", "has sand", 0),
        ("hell", "he'll and she'll", 0),
        ("hell", "hello", 0),
        ("god", "good", 0),
        ("shot", "shoot", 0),
        ("kill", "skill", 0),
        ("kill", "kil", 0),
        ("kill", "ki ll", 0),
        ("therapist", "the rapist", 0),
        ("rapist", "therapist", 0),
        ("kill you", "killyou", 0),
        ("kill you", "kill the rest of you", 0),
        ("kill*", "skills", 0),
        ("into", "in to", 0),
        ("ill", "I'll go", 0),
        ("ass", "a.s.s.i.g.n", 0),
        ("ss", "U.S.S. Enterprise", 0),
        ("ss", "it took 15s, then 5s; let s = s1 + s2", 0),
        ("ss", "$$$, $$", 0),
        ("\u{305f}", "\u{3060}", 0),
    ]);
}

#[test]
fn numbers_are_found_as_whole_numbers() {
    check(&[
        ("1488", "1488", 1),
        ("1488", "the 1488 sign", 1),
        ("1488", "user1488x", 1),
        ("1488", "14/88 and 14-88", 2),
        ("1488", "\u{ff11}\u{ff14}\u{ff18}\u{ff18}", 1),
        ("666", "the number 666.", 1),
        ("666", "6 6 6", 1),
        ("911", "call 911!", 1),
        ("c4", "C4", 1),
        ("14 88", "14 88", 1),
        ("4.20", "at 4.20 or 4:20", 2),
        ("9/11", "9/11", 1),
        ("11", "11", 1),
        ("1488", "14888 21488 114883", 0),
        ("1488", "14.88, 1,488, 1488.50, 3.1488, $14.88", 0),
        ("1488", "14:88", 0),
        ("666", "6666", 0),
        ("666", "66666666666666666666", 0),
        ("666", "6.6.6 and 6, 6, 6", 0),
        ("666", "6 6 6 4 and so on", 0),
        ("911", "9:11 and 9.11 and 1911 and 9112", 0),
        ("911", "gii", 0),
        ("c4", "c45 ac4", 0),
    ]);
}

#[test]
fn scripts_without_spaces_need_no_borders() {
    check(&[
        ("\u{81ea}\u{6bba}", "\u{4ed6}\u{60f3}\u{81ea}\u{6bba}\u{4e86}", 1),
        ("\u{81ea}\u{6bba}", "\u{81ea} \u{6bba}", 1),
        ("\u{81ea}\u{6bba}", "\u{4ed6} \u{60f3} \u{81ea} \u{6bba} \u{4e86}", 1),
        ("\u{81ea}\u{6bba}", "\u{81ea}\u{200b}\u{6bba}", 1),
        ("\u{81ea}\u{6bba}", "\u{81ea}\u{5df1}", 0),
        ("\u{3058}\u{3055}\u{3064}", "\u{5f7c}\u{306f}\u{3058}\u{3055}\u{3064}\u{3057}\u{305f}", 1),
        ("\u{e06}\u{e48}\u{e32}", "\u{e40}\u{e02}\u{e32}\u{e06}\u{e48}\u{e32}\u{e40}\u{e02}\u{e32}", 1),
        ("\u{939}\u{924}\u{94d}\u{92f}\u{93e}", "\u{939}\u{924}\u{94d}\u{92f}\u{93e} \u{915}\u{940}", 1),
        ("\u{642}\u{62a}\u{644}", "\u{642}\u{640}\u{62a}\u{64e}\u{644}", 1),
        ("\u{c790}\u{c0b4}*", "\u{c790}\u{c0b4}\u{c744}", 1),
    ]);
}

#[test]
fn entries_that_would_find_nothing_or_something_else_are_refused() {
    for (entry, reason) in [
        ("", "0 letters"),
        ("*", "0 letters"),
        ("\u{200b}", "0 letters"),
        ("?!", "`?` is not looked for"),
        ("C++", "`+` is not looked for"),
        ("C#", "`#` is not looked for"),
        (".net", "`.` is not looked for"),
        ("a$$", "`$` is not looked for"),
        ("a$$hole", "`$` is not looked for"),
        ("a+b", "`+` is not looked for"),
        ("* kill", "` ` is not looked for"),
        ("ki*l", "`*` is not looked for"),
        ("kill \u{1f44d} you", "`\u{1f44d}` is not looked for"),
        ("aaaah", "too often the same in a row"),
        ("000000000000", "too often the same in a row"),
        ("kill . . . you", "not found even in itself"),
        (&"ab".repeat(300), "600 letters"),
    ] {
        let error = configured(&[entry]).unwrap_err();
        assert!(error.contains(reason) && error.contains(entry), "`{entry}`: {error}");
    }
    for entry in ["kill", "e-mail", "don't", "rock 'n' roll", "1488", "aaah", "*x*", "\u{81ea}\u{6bba}", "00000000000"]
    {
        assert!(configured(&[entry]).is_ok(), "{entry}");
    }
}

#[test]
fn the_token_that_completes_the_match_pays() {
    assert_eq!(prices(&cost(&["kill"]), "", &["I ", "k", "ill", " you"]), [0.0, 0.0, 1.0, 0.0]);
    assert_eq!(prices(&cost(&["kill", "kill you"]), "", &["kill", " you", "."]), [1.0, 1.0, 0.0]);
    assert_eq!(prices(&cost(&["kill"]), "", &["kill kill", "", " kill"]), [2.0, 0.0, 1.0]);
}

#[test]
fn matches_cross_chunks_and_are_charged_once() {
    let cost = cost(&["kill", "kill you"]);
    assert_eq!(prices(&cost, "I ki", &["ll", " you"]), [1.0, 1.0]);
    assert_eq!(prices(&cost, "I kill", &[" you", "."]), [1.0, 0.0], "the phrase is new, the word is not");
    assert_eq!(prices(&cost, "I kill", &["lll", "."]), [0.0, 0.0], "the word only goes on");
    assert_eq!(prices(&cost, "I kill", &[" k i l l"]), [1.0]);
    assert_eq!(prices(&cost, "I s", &["kill"]), [0.0]);
}

#[test]
fn weights_are_the_operators() {
    let words = vec![("mild".to_owned(), 0.5), ("grave".to_owned(), 7.0)];
    let cost = KeywordCost::with_settings(&[("words", Value::Weighted(words))]).unwrap();
    assert_eq!(prices(&cost, "", &["mild ", "grave ", "mild grave"]), [0.5, 7.0, 7.5]);
    for (word, weight) in [("x", -1.0), ("x", f64::NAN), ("", 1.0)] {
        let words = Value::Weighted(vec![(word.to_owned(), weight)]);
        assert!(KeywordCost::with_settings(&[("words", words)]).is_err(), "`{word}` with weight {weight} was taken");
    }
    assert_eq!(prices(&KeywordCost::with_settings(&[]).unwrap(), "", &["anything", ""]), [0.0, 0.0]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_has_a_price_per_token(pieces in prop::collection::vec(".{0,12}", 0..8), before in ".{0,20}") {
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let prices = prices(&cost(&["a", "i l", "*s*"]), &before, &pieces);
        prop_assert_eq!(prices.len(), pieces.len());
        prop_assert!(prices.iter().all(|price| price.is_finite() && *price >= 0.0));
    }

    #[test]
    fn any_entry_is_found_in_itself_or_refused(entry in "\\PC{1,8}|[a-z0-9 .'*$!\u{4e00}-\u{4e10}\u{e00}-\u{e50}\u{ac00}-\u{ac10}]{1,8}") {
        if let Ok(cost) = configured(&[&entry]) {
            let text = entry.trim().trim_matches('*');
            prop_assert!(finds(&cost, text) >= 1, "`{}` is not found in itself", entry);
        }
    }
}
