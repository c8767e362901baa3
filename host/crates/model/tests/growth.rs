//! What a back end that grows rows token by token needs: each token's request, and where a row ends.

use inferenceguard_model::{GrowRow, GrowingText, Growth, Pick, SampleRequest, stop_at, toy::ToyScript};

fn growth() -> Growth {
    let sampling = SampleRequest { penalty_mass: 0.5, ..SampleRequest::plain(Pick::Rank(9)) };
    let penalties = vec![vec![(1, 2.0)], vec![(3, 4.0)]];
    Growth { max_tokens: 3, sampling, penalties, end: vec![0], stop: vec!["b c".into()] }
}

fn row() -> GrowRow<()> {
    let picks = vec![Pick::Draw(0.25), Pick::Rank(0), Pick::Draw(0.5)];
    GrowRow { parent: (), picks, seed: 7, repeated: vec![2, 5], text: GrowingText::default() }
}

#[test]
fn each_offset_has_its_own_choice_and_penalties() {
    let (growth, row) = (growth(), row());
    for (own, pick, penalties) in [
        (&[][..], Pick::Draw(0.25), vec![(1, 2.0)]),
        (&[4], Pick::Rank(0), vec![(3, 4.0)]),
        (&[4, 4], Pick::Draw(0.5), vec![]),
    ] {
        let expected = SampleRequest { penalties, pick, ..growth.sampling.clone() };
        assert_eq!(growth.request(&row, own), expected, "{own:?}");
    }
}

#[test]
fn repeated_tokens_are_those_of_the_answer_that_the_prompt_lacks() {
    let mut growth = growth();
    (growth.sampling.repetition_penalty, growth.sampling.prompt) = (1.5, [1, 3].into());
    for (own, repeated) in [(&[][..], vec![2, 5]), (&[3], vec![2, 5]), (&[3, 4, 2], vec![2, 4, 5])] {
        assert_eq!(growth.request(&row(), own).repeated, repeated, "{own:?}");
    }
}

#[test]
fn a_row_ends_with_an_end_token_or_where_a_stop_text_is_complete() {
    let (growth, tokenizer) =
        (growth(), ToyScript::parse("vocab: <eos>* a b c\nafter : a 1").expect("a script").tokenizer());
    let text = |tokens: &[u32]| GrowingText::default().with(tokenizer.as_ref(), tokens).expect("known tokens");
    for (tokens, ended) in [(&[1, 0][..], true), (&[1, 2], false), (&[1, 2, 3], true), (&[3, 2], false)] {
        let before = text(&tokens[..tokens.len() - 1]).text().len();
        assert_eq!(growth.ends(tokens[tokens.len() - 1], &text(tokens), before), ended, "{tokens:?}");
    }
}

#[test]
fn the_first_stop_text_that_ends_beyond_what_was_searched_is_found() {
    let stop = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    for (text, searched, texts, found) in [
        ("one two", 0, &[][..], None),
        ("one two", 0, &["two", "e t"], Some(2)),
        ("one two", 6, &["two"], Some(4)),
        ("ééé!", 5, &["é!"], Some(4)),
        ("one one", 7, &["three"], None),
    ] {
        assert_eq!(stop_at(text, searched, &stop(texts)), found, "{text} {searched} {texts:?}");
    }
}
