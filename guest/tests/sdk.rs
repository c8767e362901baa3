//! The parts every component stands on: settings, the batch double, rankings, passages.

use inferenceguard_guest::ranking::{Objective, keep, spread, width};
use inferenceguard_guest::{
    BatchCost, BatchDouble, BatchView, Constraint, Cost, CostGrain, CostKind, DenseDouble, Description,
};
use inferenceguard_guest::{
    LatentSelector, Need, Passage, ReadError, RoleError, RowDouble, Settings, Setup, Span, Value,
};
use proptest::prelude::*;

fn description() -> Description {
    Description::new("c", "1.0.0", "A test.")
        .setting("count", Value::Integer(3), "A count.")
        .setting("rate", Value::Number(0.5), "A rate.")
        .setting("words", Value::Weighted(Vec::new()), "Words.")
        .setting("name", Value::Text("x".to_owned()), "A name.")
}

fn settings(name: &str, value: Value) -> Result<Settings, String> {
    Settings::over_defaults(&description(), vec![(name.to_owned(), value)])
}

#[test]
fn a_text_chunk_by_chunk_holds_every_character_once_and_sees_what_its_needs_ask_for() {
    let seen = |cuts: &[usize], needs: &[Need]| {
        let rows = RowDouble::chunks("täglich", cuts, needs);
        rows.into_iter().map(|row| (row.lookback.unwrap(), row.text.unwrap())).collect::<Vec<_>>()
    };
    let pair = |before: &str, text: &str| (before.to_owned(), text.to_owned());
    assert_eq!(seen(&[], &[Need::Lookback(9)]), [pair("", "täglich")]);
    assert_eq!(seen(&[5, 2], &[Need::Text, Need::Lookback(3)]), [pair("", "tä"), pair("tä", "gli"), pair("gli", "ch")]);
    assert_eq!(
        seen(&[2, 99], &[Need::Text]),
        [pair("", "tä"), pair("", "glich"), pair("", "")],
        "no look-back is asked for"
    );
}

#[test]
fn settings_come_over_the_defaults_and_convert_only_where_nothing_is_lost() {
    let given = settings("rate", Value::Integer(2)).unwrap();
    assert_eq!((given.number("rate", ..), given.integer("count", ..)), (Ok(2.0), Ok(3)));
    let given = settings("words", Value::Texts(vec!["a".to_owned()])).unwrap();
    assert_eq!(given.weighted("words"), Ok(vec![("a".to_owned(), 1.0)]));
}

#[test]
fn what_is_wrong_with_a_setting_is_stated_in_words() {
    let wrong = settings("count", Value::Number(3.5)).unwrap_err();
    assert_eq!(wrong, "setting `count` is a number; expected a whole number");
    let wrong = settings("size", Value::Integer(3)).unwrap_err();
    assert_eq!(wrong, "setting `size` is unknown; c takes `count`, `rate`, `words`, `name`");
    let twice = vec![("count".to_owned(), Value::Integer(1)); 2];
    assert!(Settings::over_defaults(&description(), twice).unwrap_err().contains("given twice"));
    let given = settings("count", Value::Integer(-1)).unwrap();
    assert_eq!(given.integer("count", 1..), Err("setting `count` is -1; expected a whole number of at least 1".into()));
    let given = settings("rate", Value::Number(f64::INFINITY)).unwrap();
    assert!(given.number("rate", ..).unwrap_err().contains("finite"));
    assert!(given.flag("rate").unwrap_err().contains("expected a flag"));
    assert!(given.text("colour").unwrap_err().contains("not described"));
    let words = settings("words", Value::Weighted(vec![("a".to_owned(), f64::NAN)])).unwrap();
    assert!(words.weighted("words").unwrap_err().contains("`a` the weight NaN"));
}

#[test]
fn a_latent_is_named_in_words() {
    let latent = |text: &str| settings("name", Value::Text(text.to_owned())).unwrap().latent("name");
    assert_eq!(latent("final-norm"), Ok(LatentSelector::FinalNorm));
    assert_eq!(latent("layer:12"), Ok(LatentSelector::Layer(12)));
    for text in ["", "layer", "layer:", "layer:-1", "layer:x", "Final-norm"] {
        let refused = latent(text).unwrap_err();
        assert!(refused.contains(&format!("`name` is `{text}`; expected `final-norm`, or `layer:N`")), "{refused}");
    }
}

#[test]
fn a_cost_that_prices_a_row_prices_all_rows() {
    struct Free;
    impl Setup for Free {
        fn describe() -> Description {
            Description::new("free", "1.0.0", "A test.")
        }
        fn configure(_: &Settings) -> Result<Self, String> {
            Ok(Self)
        }
    }
    impl Cost for Free {
        fn kind(&self) -> CostKind {
            CostKind::Safety
        }
        fn grain(&self) -> CostGrain {
            CostGrain::Chunk
        }
        fn price(&self, _: &dyn BatchView, row: u32) -> Result<Vec<f64>, RoleError> {
            Ok(vec![f64::from(row)])
        }
    }
    let prices = |rows: &[RowDouble]| Free.price_all(&BatchDouble::of(rows.to_vec()), &DenseDouble::default());
    assert_eq!(prices(&[]), Ok(Vec::new()));
    assert_eq!(prices(&[RowDouble::default(), RowDouble::default()]), Ok(vec![vec![0.0], vec![1.0]]));
}

#[test]
fn what_a_test_leaves_out_cannot_be_read() {
    let rows = BatchDouble::of([RowDouble::default()]);
    assert_eq!(rows.text(0), Err(ReadError::Undeclared("text".to_owned())));
    assert_eq!(rows.latent(0), Err(ReadError::Undeclared("latents".to_owned())));
    assert_eq!(rows.scores(0, "m"), Err(ReadError::NoModel("m".to_owned())));
    assert_eq!(rows.id(1), Err(ReadError::NoRow(1)));
    assert_eq!(rows.margin(0, 0), Err(ReadError::NoConstraint(0)));
    assert_eq!(rows.prompt(), Err(ReadError::Undeclared("prompt".to_owned())));
}

#[test]
fn a_quarter_is_kept_unless_a_setting_says_otherwise() {
    assert_eq!([width(0, 128), width(0, 3), width(7, 8)], [32, 1, 7]);
}

#[test]
fn a_passage_charges_what_completes_in_new_text_and_only_once() {
    let find = |chars: &[char]| {
        let stars = chars.iter().enumerate().filter(|(_, char)| **char == '*');
        stars.map(|(start, _)| Span { pattern: 0, start, end: (start + 2).min(chars.len()), weight: 1.0 }).collect()
    };
    let price = |before: &str, pieces: &[&str]| {
        let rows = BatchDouble::of([RowDouble::default().with_text(pieces).after(before)]);
        Passage::read(&rows, 0).unwrap().prices(find)
    };
    assert_eq!(price("", &["a*b", "*", "\u{e9}"]), [1.0, 0.0, 1.0]);
    assert_eq!(price("a*", &["b*", "c"]), [0.0, 1.0], "a star at the end was charged before");
    assert!(price("a*b", &[]).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_beam_gets_a_candidate_and_the_total_is_met(total in 1..500_u32, beams in 1..200_u32) {
        let spread = spread(total, beams);
        prop_assert_eq!(spread.len(), beams as usize);
        prop_assert_eq!(spread.iter().sum::<u32>(), total.max(beams));
        prop_assert!(spread.iter().max().unwrap() - spread.iter().min().unwrap() <= 1);
    }

    #[test]
    fn rankings_are_total_and_keep_the_best(
        rows in prop::collection::vec((any::<bool>(), any::<bool>(), -3..3_i8, 0..3_u8), 0..20),
        live in 0..5_usize,
        finished in 0..5_usize,
    ) {
        let row = |&(safe, ended, cost, margin): &(bool, bool, i8, u8)| RowDouble {
            finished: ended,
            ..RowDouble::with_prices(safe, f64::from(margin), f64::from(cost))
        };
        let batch = BatchDouble { constraints: vec![Constraint::of("c", 1.0)], ..BatchDouble::of(rows.iter().map(row)) };
        let ranked = Objective::Augmented.rank(&batch).unwrap();
        prop_assert_eq!(ranked.len(), rows.iter().filter(|row| row.0).count());
        prop_assert!(ranked.windows(2).all(|pair| pair[0].order(&pair[1]).is_lt()));
        let kept = keep(&ranked, live, finished);
        let count = |ended: bool| kept.iter().filter(|row| rows[**row as usize].1 == ended).count();
        prop_assert!(count(false) <= live && count(true) <= finished);
        prop_assert!(kept.iter().all(|row| rows[*row as usize].0), "an unsafe row was kept");
    }
}

#[test]
fn a_note_goes_to_the_token_that_pays() {
    let rows = BatchDouble::of([RowDouble::default().with_text(&["a*", "b", "*c"]).after("*")]);
    let find = |chars: &[char]| {
        let stars = chars.iter().enumerate().filter(|(_, char)| **char == '*');
        stars.map(|(start, _)| Span { pattern: 7, start, end: start + 1, weight: 1.0 }).collect::<Vec<_>>()
    };
    let mut notes = Vec::new();
    let prices = Passage::read(&rows, 0).unwrap().noted_prices(find, |token, span| notes.push((token, span.pattern)));
    assert_eq!((prices, notes), (vec![1.0, 0.0, 1.0], vec![(0, 7), (2, 7)]), "charged text is not noted again");
}
