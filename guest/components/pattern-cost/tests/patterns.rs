//! What is found, what is not, and where it is charged. All data here is made up.

mod support;

use inferenceguard_guest::{BatchDouble, Cost, RowDouble, Setup, Value};
use pattern_cost::PatternCost;
use proptest::prelude::*;
use support::{finds, prices};

fn all_find(class: &str, texts: &[&str]) {
    let wrong: Vec<_> = texts.iter().map(|text| (text, finds(text))).filter(|(_, found)| *found != [class]).collect();
    assert!(wrong.is_empty(), "expected one {class} each: {wrong:#?}");
}

fn none_finds(texts: &[&str]) {
    let wrong: Vec<_> = texts.iter().map(|text| (text, finds(text))).filter(|(_, found)| !found.is_empty()).collect();
    assert!(wrong.is_empty(), "expected nothing: {wrong:#?}");
}

#[test]
fn addresses() {
    all_find(
        "email",
        &[
            "jane.doe@example.org",
            "mail (jo+x@mail.example.co.uk).",
            "J\u{f6}rg@b\u{fc}cher.de",
            "a@b.co, thanks",
            "jo\u{ff20}example.org",
            "jo\u{fe6b}example\u{ff0e}org",
            "jo@exam\u{200b}ple.o\u{ad}rg",
            "jo@example\u{3002}com",
            "jo@xn--bcher-kva.xn--p1ai",
            "jo@example.org-please",
            "jo@example.org...and more",
            "jo@example.com2",
            "\u{8054}\u{7cfb}jo@example.com\u{8c22}\u{8c22}",
            "12345@163.com",
            "030-1234567@example.org",
        ],
    );
    none_finds(&[
        "meet me @ noon",
        "user@localhost",
        "@handle",
        "a@b.c",
        "foo@.com",
        "foo@bar..com",
        "npm install react@18.3.1 lodash@4.17.21-rc.1",
        "left-pad@1.0.beta",
        "5 apples @ 0.50 each",
        "\u{8bf7}@\u{5c0f}\u{660e}\u{3002}\u{597d}\u{7684}",
        "@",
    ]);
}

#[test]
fn phones() {
    all_find(
        "phone",
        &[
            "+49 30 1234567",
            "+1 (555) 234-5678",
            "+ 49 30 1234567",
            "(+49) 30 1234567",
            "+44 (0)20 7946 0958",
            "call 0041 44 123 45 67 now",
            "030 / 123 45 67",
            "(030) / 1234567",
            "(030) 1234567",
            "(0)30 1234567",
            "01 23 45 67 89",
            "01.23.45.67.89",
            "0301234567",
            "555-234-5678",
            "(555) 234-5678",
            "(555)234-5678",
            "555 234 5678",
            "555_234_5678",
            "1-800-234-5678",
            "800-220-1000",
            "555.234.5678.",
            "+4915112345678",
            "07700 900123",
            "in 2023 555-234-5678",
            "call 24/7 (555) 234-5678",
            "2. 555-234-5678",
            "on 01.02.2003 030 1234567",
            "555-234-5678x9",
            "tel030 1234567",
            "tel+4930 1234567",
            "\u{7535}\u{8bdd}030 1234567",
            "\u{7535}\u{8bdd}\u{ff1a}\u{ff10}\u{ff13}\u{ff10}\u{3000}\u{ff11}\u{ff12}\u{ff13}\u{ff14}\u{ff15}\u{ff16}\u{ff17}",
            "03\u{200b}0\u{a0}1234567",
            "030\u{2011}1234\u{2013}567",
            "\u{0660}\u{0663}\u{0660} \u{0661}\u{0662}\u{0663}\u{0664}\u{0665}\u{0666}\u{0667}",
        ],
    );
    for (text, number) in [
        ("555-234-5678 / 555-345-6789", 2),
        ("030 1234567 040 7654321", 2),
        ("+49 30 1234567 040 7654321", 2),
        ("+49 30 1234567 +49 40 7654321", 2),
        ("01 23 45 67 89 / 02 34 56 78 90", 2),
        ("555-234-5678 555-345-6789 555-456-7890", 3),
    ] {
        assert_eq!(finds(text), vec!["phone"; number], "in {text}");
    }
    none_finds(&[
        "0.25 0.50 0.75",
        "0.025 0.050 0.075",
        "0 1 2 3 4 5 6 7 8",
        "01 02 03 04 05 06",
        "01 2 3 4 5 6 7 8 9",
        "0101010101",
        "0123456789",
        "300 400 5000 people",
        "10000000 + 20000000",
        "10000000+20000000",
        "C++ 20231231",
        "profit: +10000000",
        "up +250000000",
        "3.14159265358979",
        "0.123456789",
        "40.7128 -74.0060",
        "0.0441234567",
        "13,178,002.113936031",
        "03:04:05.123_456_789",
        "09:55:06.000000000-06:00",
        "8B 05 00 00 00 00",
        "256 512 1024 pixels",
        "233 377 610 987 1597",
        "2021-03-04",
        "03/04/2021",
        "03/04/2021 05/06/2021",
        "01/02/03 04/05/06",
        "01.02.2003 10:30",
        "01.02.2003 - 03.04.2005",
        "07.08.-09.08.2023",
        "08.00-12.00 13.00-17.00",
        "0800 1200 1600 hours",
        "1234567890",
        "1700000000",
        "192.168.100.200",
        "1,000,000,000",
        "1 034 056 789 stars",
        "1.034.056.789 Euro",
        "serial 1234 0567 8901 2345",
        "serial 1234 0056 7890 1234",
        "03 12 25 33 41 07",
        "page 555-234",
        "100 200 3000 people",
        "1999-2003-2007",
        "12345678901234567890123456789012",
        "0000000000000000",
        "Boston, MA 02139-4307",
        "ISBN 978-3-16-148410-0",
        "ISBN 0-306-40615-2",
        "7:30 - 8:45",
        "03-01 02-05 04-07",
        "a1b0301234567",
        "",
        "+",
        "(((",
        "....",
        "00",
    ]);
}

#[test]
fn cards() {
    all_find(
        "card",
        &[
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "378282246310005",
            "3782 822463 10005",
            "30569309025904",
            "3056 930902 5904",
            "3530111333300000",
            "6011111111111117",
            "2223003122003222",
            "4222222222222",
            "4111111111111111110",
            "card: 5555555555554444, 12/29",
            "4111 1111 1111 1111 123",
            "4111 1111 1111 1111 12/29",
            "in 2023 4111 1111 1111 1111",
            "\u{6211}\u{7684}\u{5361}\u{53f7}\u{662f}4111111111111111\u{3002}",
            "card4111111111111111",
            "4111111111111111x",
            "_4111111111111111_",
            "17,4111111111111111,12/29",
            "+4111111111111111",
            "4111.1111.1111.1111",
            "4111  1111  1111  1111",
            "4111\n1111\n1111\n1111",
            "4111\r\n1111 1111 1111",
            "4111 - 1111 - 1111 - 1111",
            "4111/1111/1111/1111",
            "4111_1111_1111_1111",
            "4111\u{a0}1111\u{2009}1111\u{3000}1111",
            "4111\u{2013}1111\u{2014}1111\u{2212}1111",
            "4111\u{200b}1111\u{200d}1111\u{feff}1111",
            "4\u{ad}111111111111111",
            "4111\u{3164}111111111111",
            "\u{ff14}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}",
            "\u{1d7d2}\u{1d7cf}\u{1d7cf}\u{1d7cf}111111111111",
            "\u{0664}\u{0661}\u{0661}\u{0661}111111111111",
            "4\u{fe0f}\u{20e3}1\u{fe0f}\u{20e3}11111111111111",
            "411111 1111111111",
            "41111111 11111111",
            "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
            "4-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1",
            "41 11 11 11 11 11 11 11",
            "4111111111111111\u{b2}",
        ],
    );
    assert_eq!(finds("4111 1111 1111 1111 / 5555 5555 5555 4444"), ["card", "card"]);
    none_finds(&[
        "2023 2024 2025 2026",
        "2010-2011-2012-2013",
        "1999 2000 2001 2002",
        "IMEI 356938035643809",
        "4111111111111112",
        "4111 1111 1111 1112",
        "0000000000000000",
        "0.4111111111111111",
        "41111111111111111111",
        "94111111111111111",
        "3.14159265358979",
        "1700000000000",
        "1234567812345670",
        "9999999999999995",
        "4111, 1111, 1111, 1111",
        "| 4111 | 1111 | 1111 | 1111 |",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        "4500 12 350 6000 816",
    ]);
}

#[test]
fn bank_accounts() {
    all_find(
        "iban",
        &[
            "DE89370400440532013000",
            "DE89 3704 0044 0532 0130 00",
            "GB82 WEST 1234 5698 7654 32 is mine",
            "gb82west12345698765432",
            "IBANDE89370400440532013000",
            "IBANDE89370400440532013000und",
            "\u{8d26}\u{6237}DE89370400440532013000\u{3002}",
            "DE89\u{a0}3704\u{a0}0044\u{a0}0532\u{a0}0130\u{a0}00",
            "DE89-3704-0044-0532-0130-00",
            "DE89  3704  0044  0532  0130  00",
            "DE89 3704 0044 0532 0130 00 030",
            "DE89\u{200b}370400440532013000",
            "\u{ff24}\u{ff25}\u{ff18}\u{ff19}370400440532013000",
            "NL91ABNA0417164300",
            "FR1420041010050500013M02606",
            "NO9386011117947",
            "MT84MALT011000012345MTLCAST001S",
        ],
    );
    none_finds(&[
        "DE89370400440532013001",
        "DE8937040044053201300",
        "DE893704004405320130000",
        "1DE89370400440532013000",
        "ZZ89370400440532013000",
        "D E89 37 04 00 44 05 32 01 30 00",
        "Use WD40 to free the rusty lock of the shed",
        "the AK47 is the most common rifle in the world",
        "my HP15 and the new LG27 are both good screens",
        "Take the A1 to BE10 exit then turn left at the old barn",
    ]);
}

#[test]
fn keys() {
    all_find(
        "key",
        &[
            "AKIAIOSFODNN7EXAMPLE",
            "-AKIAIOSFODNN7EXAMPLE",
            "_AKIAIOSFODNN7EXAMPLE_",
            "keyAKIAIOSFODNN7EXAMPLE",
            "\u{5bc6}\u{94a5}AKIAIOSFODNN7EXAMPLE",
            "AKIA\u{200b}IOSFODNN7EXAMPLE",
            "sk-abcdefghijklmnopqrst12345",
            "sk-proj-a1B2c3D4e5F6g7H8i9J0k1L2",
            "token=ghp_0123456789abcdefghijABCDEFGHIJ012345",
            "--ghp_0123456789abcdefghijABCDEFGHIJ012345",
            "glpat-a1B2c3D4-e5F6g7H8i9J0",
            "-----BEGIN RSA PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----",
            "-----BEGIN PGP PRIVATE KEY BLOCK-----",
            "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----",
        ],
    );
    all_find("secret", &["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzk3qR8vT2LmQ"]);
    none_finds(&[
        "AKIA",
        "AKIAandmore",
        "sk-learn-tutorial-part-2",
        "sk-learning-is-a-library-with-words",
        "task-0123456789abcdefghij1",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN PGP PUBLIC KEY BLOCK-----",
        "BEGIN with the PRIVATE KEY",
        "pneumonoultramicroscopicsilicovolcanoconiosis",
        "https://example.org/Some/Long/Path/With/Words/And/Year2021/Index",
        "--------------------------------------",
        "SCREAMING_SNAKE_CASE_CONSTANT_NAME_12",
    ]);
}

/// Characters drawn from some, as issuers do; the same ones in every run.
fn drawn(seed: &mut u64, from: &str, count: usize) -> String {
    let from: Vec<char> = from.chars().collect();
    let next = |_| {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        from[(*seed >> 33) as usize % from.len()]
    };
    (0..count).map(next).collect()
}

#[test]
fn keys_of_every_issuer_are_found_as_they_are_issued() {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const BASE62: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut seed = 7;
    let mut part = |from: &str, count| drawn(&mut seed, from, count);
    let mut missed = Vec::new();
    for _ in 0..1000 {
        let numbers = format!("{}-{}", part("123456789", 12), part("123456789", 13));
        for key in [
            format!("hf_{}", part(LETTERS, 34)),
            format!("xoxb-{numbers}-{}", part(BASE62, 24)),
            format!("xoxb-{numbers}-{}", part(LETTERS, 24)),
            format!("xoxp-{numbers}-{}-{}", part("0123456789", 13), part("0123456789abcdef", 32)),
            format!("AKIA{}", part("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
            format!("ASIA{}", part("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 16)),
            format!("sk-{}T3BlbkFJ{}", part(BASE62, 20), part(BASE62, 20)),
            format!("sk-{}", part(LETTERS, 48)),
            format!("sk-proj-{}T3BlbkFJ{}", part(BASE64, 74), part(BASE64, 74)),
            format!("sk-ant-api03-{}AA", part(BASE64, 93)),
            format!("sk_live_{}", part(LETTERS, 24)),
            format!("rk_live_{}", part(BASE62, 24)),
            format!("ghp_{}", part(LETTERS, 36)),
            format!("gho_{}", part(BASE62, 36)),
            format!("ghu_{}", part(BASE62, 36)),
            format!("ghs_{}", part(BASE62, 36)),
            format!("ghr_{}", part(BASE62, 36)),
            format!("github_pat_{}_{}", part(BASE62, 22), part(BASE62, 59)),
            format!("glpat-{}", part(BASE64, 20)),
            format!("glpat-{}", part(LETTERS, 20)),
            format!("AIzaSy{}", part(BASE64, 33)),
            format!("npm_{}", part(LETTERS, 36)),
        ] {
            let found = finds(&format!("the key is {key} now"));
            missed.extend((found != ["key"]).then_some((key, found)));
        }
    }
    assert!(missed.is_empty(), "{} missed, such as {:?}", missed.len(), missed.first());
}

#[test]
fn placeholders_and_words_behind_the_prefix_of_a_key_are_none() {
    none_finds(&[
        "hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "ghp_XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX",
        "xoxb-your-token-goes-right-here",
        "xoxb-xxxxxxxxxxxx-xxxxxxxxxxxx",
        "hf_hub_download_and_cache_everything_locally",
        "npm_config_registry_and_all_other_settings",
        "sk-internationalization-part2",
        "sk-fading-circle-and-other-css-spinners",
    ]);
}

#[test]
fn several_at_once_are_all_found() {
    let text = "jo@example.org or +49 30 1234567, card 4111 1111 1111 1111. Also ann@example.org";
    assert_eq!(finds(text), ["email", "email", "phone", "card"]);
}

#[test]
fn the_token_that_completes_the_pattern_pays() {
    assert_eq!(prices("", &["jo@", "example.", "org", " now"]), [0.0, 0.0, 1.0, 0.0]);
    assert_eq!(prices("", &["4111 1111 ", "1111 1111", "."]), [0.0, 10_000.0, 0.0]);
    assert_eq!(prices("", &["4111\u{200b}1111 ", "1111\u{200b}", "\u{200b}1111", "."]), [0.0, 0.0, 10_000.0, 0.0]);
}

#[test]
fn patterns_cross_chunks_and_are_charged_once() {
    assert_eq!(prices("card 4111 1111 11", &["11 11", "11"]), [0.0, 10_000.0]);
    assert_eq!(prices("jo@example.org", &[" and", " so"]), [0.0, 0.0]);
    assert_eq!(prices("jo@example.co", &["m", " x"]), [0.0, 0.0], "charged when it was complete the first time");
    assert_eq!(prices("9f86d081884c7d659a2feaa0c55ad015", &["a3bf4f1b", "0"]), [0.0, 0.0]);
    assert_eq!(prices("-----BEGIN PRI", &["VATE KEY", "-----", "\nMII"])[1..], [1e8, 0.0]);
}

#[test]
fn a_class_of_weight_zero_is_free_and_bad_weights_are_refused() {
    let free = PatternCost::with_settings(&[("email", Value::Number(0.0))]).unwrap();
    let rows = BatchDouble::of([RowDouble::default().with_text(&["a@b.org"])]);
    assert_eq!(free.price(&rows, 0).unwrap(), [0.0]);
    for weight in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(PatternCost::with_settings(&[("card", Value::Number(weight))]).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_has_a_price_per_token(
        pieces in prop::collection::vec("[ -~\u{e9}\u{a0}\u{200b}\u{ff10}-\u{ff20}\u{4e00}\n]{0,20}|.{0,20}", 0..8),
        before in "[0-9 +@.()-]{0,40}",
    ) {
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let prices = prices(&before, &pieces);
        prop_assert_eq!(prices.len(), pieces.len());
        prop_assert!(prices.iter().all(|price| price.is_finite() && *price >= 0.0));
    }
}
