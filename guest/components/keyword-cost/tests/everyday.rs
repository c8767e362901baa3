//! Everyday sentences in which the cost finds no entry of a usual word list.

mod support;

use support::{cost, finds};

const ENTRIES: &[&str] = &[
    "ass",
    "kill",
    "kill you",
    "hell",
    "ill",
    "die",
    "gun",
    "rape",
    "cum",
    "tit",
    "cock",
    "shit",
    "slut",
    "anal",
    "sex",
    "fag",
    "bomb",
    "god",
    "damn",
    "nazi",
    "ss",
    "kkk",
    "1488",
    "666",
    "911",
    "88",
    "420",
    "18",
    "c4",
    "hate",
    "stab",
    "*bitch*",
    "\u{81ea}\u{6bba}",
    "\u{81ea}\u{5c3d}",
];

const SENTENCES: &[&str] = &[
    // Words within words.
    "The class passed the assessment and assembled at the mass of brass.",
    "Her skill with herbs, grapes and drapes is legendary; she shell-fishes too.",
    "He'll bring the shells, she'll sell them, and we'll tell them how well it went.",
    "I'll be there by noon, don't worry about the hill or the mill.",
    "The diet of the soldier was studied by the audience.",
    "The gunwale of the boat was begun in the shipyard.",
    "Scrape the bowl, drape the towel, and skip the therapist.",
    "A cucumber, a cumin seed and a document accumulate on the desk.",
    "The title of the constitution, with its institutions, titillates nobody.",
    "The cockpit, the peacock and the cocktail have one thing in common.",
    "Analysis of the canal and the banal analogy took all day.",
    "Essex, Sussex and Middlesex are counties; sextants are instruments.",
    "The bombastic speech about bombazine bored them all.",
    "Good food, good mood: the goddess of the goods is good.",
    "Stability, a constable, and an established stable.",
    "Whatever the weather, the feather stays; hatred is another word.",
    "He massages the embassy's ambassador at the casserole party.",
    "The cumulus clouds over Scunthorpe and Penistone were thick.",
    "Shitake mushrooms, also spelled shiitake, go well with rice.",
    "They killed nobody; the killers were skillets.",
    // Letters and abbreviations.
    "The U.S.S. Enterprise and the S.S.R. of old maps.",
    "I. A. Richards, A. S. Byatt and J. K. Rowling write books.",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z",
    "A, B, C, D, E, F, G: the notes of the scale.",
    "C L A S S and A S S I G N are written in spaced capitals.",
    "The exam had parts a) b) c) and d).",
    "i.e. this, e.g. that, a.m. or p.m., etc.",
    "Vitamins A, B, C, D, E and K; hepatitis A, B and C.",
    "He got an A, a B and two Cs in maths.",
    "f(x) = a x + b, g(x) = s / (s + c)",
    // Recipes and measurements.
    "Mix 250 g of flour with 125 ml of milk and 2 eggs.",
    "Add 1/2 cup of sugar, 3/4 cup of butter and 1 1/2 cups of oats.",
    "The shelf is 80 x 200 x 35 cm and holds 45.5 kg.",
    "It took 15s, then 5s, then 1.5 s, and 1500 ms in total.",
    "The lens is a 24-70 mm f/2.8; the film has ISO 400.",
    "Bake at 180 degrees for 25-30 minutes.",
    "A 5.88 kg parcel, 4.20 m long, 1.8 m wide.",
    "12 V, 5 A, 60 W, 50 Hz, 4700 ohm, 0.25 W.",
    // Dates, times and scores.
    "On 1985-04-21 at 9:11 the train left; the next came at 9:41.",
    "In 1888, 1889 and 1988 the winters were long.",
    "From 08.00 to 17.30, except on 24.12. and 31.12.2024.",
    "They won 3-1, 2-0 and 4-2, and lost 0-5.",
    "The years 2018, 2019 and 2020 were warm.",
    "6.6.2006 was a Tuesday, 6/6/2016 a Monday.",
    "He was 181 cm tall at 17 and 188 cm at 19.",
    "Page 1911, line 42; chapter 3, verse 16.",
    "At 4:20:15 and at 14:88 by a broken clock.",
    // Prices and counts.
    "It costs $14.88, or $1,488.00 for a hundred.",
    "Prices: 4.50, 5.00, 5.50, 6.66 and 9.11 euros.",
    "Population 1,488,666 in 2010, 1,911,420 in 2020.",
    "Shares rose 0.666 % to 88.20, then fell to 18.75.",
    "Powers of two: 1, 2, 4, 8, 16, 32, 64, 128, 256.",
    "0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144",
    "Pi is about 3.14159265358979323846.",
    "Ready? 10 9 8 7 6 5 4 3 2 1 0!",
    "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 19 20",
    // Versions, code and machines.
    "Upgrade from 1.4.88 to 6.6.6 and from 9.1.1 to 9.2.0.",
    "Linux 6.6.60, glibc 2.39, Python 3.12.4.",
    "if (a == 1 || b == 1) { i++; } else { i--; }",
    "let s = s1 + s2; // 3 lines",
    "The address is 192.168.18.0.1 or 10.0.88.1:8080.",
    "commit 3f2a91c fixes issue 4207 and 6661.",
    "The commits are 9ebd559a55, 60d8afa9ab, f1488bb24c, cd911d72ab and 666c089e68.",
    "From 10 min down to 45s, valid for 60d, then 455 more.",
    "x = 1!; y = |z| + 1; p = a[1][1];",
    "Version 2.0!!! Wow!!! 111 |||",
    "C++ and C# are languages, and so is C.",
    "The colour is #FF8800 with 50 % alpha.",
    // Other languages.
    "Im Stra\u{df}encaf\u{e9} gab es K\u{e4}se.",
    "\u{6211}\u{81ea}\u{5df1}\u{53bb}\u{4e86}\u{5b66}\u{6821}\u{3002}",
    "\u{4eca}\u{65e5}\u{306f}\u{81ea}\u{5206}\u{3067}\u{6599}\u{7406}\u{3057}\u{307e}\u{3057}\u{305f}\u{3002}",
    "\u{41f}\u{440}\u{438}\u{432}\u{435}\u{442}, \u{43a}\u{430}\u{43a} \u{434}\u{435}\u{43b}\u{430}?",
];

#[test]
fn everyday_sentences_cost_nothing() {
    let each: Vec<_> = ENTRIES.iter().map(|entry| (entry, cost(&[entry]))).collect();
    let mut wrong = Vec::new();
    for text in SENTENCES {
        wrong.extend(each.iter().filter(|(_, cost)| finds(cost, text) > 0).map(|(entry, _)| (*entry, *text)));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
