//! The toy back end plays what its script says.

use inferenceguard_model::{
    Model, ModelError, ScoreModel, ScoreRow, Tokenizer,
    toy::{FLOOR, ScriptError, ToyScript},
};

const SCRIPT: &str = "
vocab: <eos>* <user> good bad neutral ba +d +ge badger
context: 8
prompt: <user> {}
after : good 3, bad 2, neutral 1   # default
after bad : bad 1, <eos> 1
after good bad : neutral 1
score reward: good 1, bad 3, good bad -7
score cost cumulative: bad 5, good -1
score judge withheld: bad 5, badger 9, good 1
";

fn script() -> ToyScript {
    ToyScript::parse(SCRIPT).expect("the script is fine")
}

fn ids(words: &str) -> Vec<u32> {
    let tokenizer = script().tokenizer();
    words.split(' ').map(|w| tokenizer.id(w).expect("a word of the vocabulary")).collect()
}

#[test]
fn the_longest_pattern_gives_the_logits() {
    let mut model = script().model();
    let prompt = model.encode_prompt("neutral").expect("known words");
    assert_eq!(prompt, ids("<user> neutral"));
    let (beam, latent) = model.prefill(&prompt).expect("fits");
    let row = latent.to_host().expect("on the host").into_owned();
    assert_eq!(row[2..5], [3f32.ln(), 2f32.ln(), 0.0]);
    assert_eq!(row[0], FLOOR);
    let [good, bad] = ids("good bad")[..] else { unreachable!("two words") };
    model.step(&[(beam, good)]).expect("fits");
    let latent = model.step(&[(beam, bad)]).expect("fits");
    let logits = model.project(&latent).expect("rows of the model");
    assert_eq!(logits.to_host().expect("on the host")[..5], [FLOOR, FLOOR, FLOOR, FLOOR, 0.0]);
}

#[test]
fn glued_tokens_spell_the_same_text_again() {
    let tokenizer = script().tokenizer();
    for spelling in ["good ba +d <eos>", "good bad"] {
        assert_eq!(tokenizer.decode(&ids(spelling)).expect("known"), "good bad");
    }
    assert_eq!(tokenizer.encode("good bad").expect("known"), ids("good bad"));
    assert_eq!(tokenizer.encode("badge badger").expect("known"), ids("bad +ge badger"));
    assert!(tokenizer.encode("<user> bad").is_err(), "text names no special token");
    assert!(tokenizer.encode("worse").is_err());
    assert!(tokenizer.decode(&[9]).is_err());
}

#[test]
fn longer_lists_only_append_text() {
    let tokenizer = script().tokenizer();
    let tokens = ids("good ba +d +ge bad <eos>");
    for n in 1..tokens.len() {
        let (shorter, longer) = (tokenizer.decode(&tokens[..n]), tokenizer.decode(&tokens[..=n]));
        assert!(longer.expect("known").starts_with(&shorter.expect("known")));
    }
}

fn extend(score: &mut impl ScoreModel, id: inferenceguard_model::ScoreId, words: &str, ended: bool) -> (Vec<f32>, f32) {
    let row = ScoreRow { id, tokens: ids(words), ended };
    let scored = score.extend(&[row]).expect("known tokens").remove(0);
    (scored.tokens, scored.end)
}

#[test]
fn scores_judge_the_newest_token_or_add_up() {
    let script = script();
    let mut reward = script.score("reward").expect("in the script");
    let id = reward.open("neutral", script.tokenizer()).expect("fits");
    assert_eq!(extend(&mut reward, id, "bad good", false), (vec![3.0, 1.0], 1.0));
    assert_eq!(extend(&mut reward, id, "bad neutral", false), (vec![-7.0, 0.0], 0.0));
    let mut cost = script.score("cost").expect("in the script");
    let id = cost.open("neutral", script.tokenizer()).expect("fits");
    assert_eq!(extend(&mut cost, id, "bad good", false), (vec![5.0, 4.0], 4.0));
    assert_eq!(extend(&mut cost, id, "bad <eos>", true), (vec![9.0, 9.0], 9.0));
}

#[test]
fn a_retokenising_score_withholds_the_word_that_may_grow() {
    let script = script();
    let mut judge = script.score("judge").expect("in the script");
    let id = judge.open("neutral", script.tokenizer()).expect("fits");
    assert_eq!(extend(&mut judge, id, "good ba", false), (vec![1.0], 1.0));
    assert_eq!(extend(&mut judge, id, "+d", false), (vec![], 1.0));
    let fork = judge.fork(&[id]).expect("lives")[0];
    assert_eq!(extend(&mut judge, id, "neutral", false), (vec![5.0, 5.0], 5.0));
    assert_eq!(extend(&mut judge, fork, "<eos>", true), (vec![5.0, 5.0, 5.0], 5.0));
}

#[test]
fn faults_strike_once() {
    let faulty = format!("{SCRIPT}fault step 2: error\nfault reward 1: nan\nfault cost 1: error\n");
    let script = ToyScript::parse(&faulty).expect("fine");
    let mut model = script.model();
    let (beam, _) = model.prefill(&[2]).expect("fits");
    assert!(model.step(&[(beam, 2)]).is_ok());
    assert!(matches!(model.step(&[(beam, 2)]), Err(ModelError::Backend(_))));
    assert!(model.step(&[(beam, 2)]).is_ok());
    let mut reward = script.score("reward").expect("there");
    let id = reward.open("good", script.tokenizer()).expect("fits");
    assert!(extend(&mut reward, id, "good", false).1.is_nan());
    let mut cost = script.score("cost").expect("there");
    let id = cost.open("good", script.tokenizer()).expect("fits");
    assert!(cost.extend(&[ScoreRow { id, tokens: vec![2], ended: false }]).is_err());
}

#[test]
fn bad_scripts_name_the_line() {
    let at = |text: &str| ToyScript::parse(text).expect_err("must be refused").to_string();
    assert_eq!(at("context: 8"), "the script has no line 'vocab:'; add one");
    assert_eq!(at("vocab: a <e>*"), "the script has no line 'after :'; add one");
    assert!(at("vocab: a <e>*\nafter : b 1").starts_with("line 2: 'b' is not in the vocabulary"));
    assert!(at("vocab: a <e>*\nafter : a -1").contains("found 'a -1'"));
    assert!(at("vocab: a <e>*\nafter : a inf").contains("found 'a inf'"));
    assert!(at("vocab: a").contains("end token"));
    assert!(at("vocab: a a <e>*").contains("'a' is there already"));
    assert!(at("vocab: a <e>*\nbefore : a 1").starts_with("line 2: expected 'vocab:'"));
    assert!(at("vocab: a <e>*\nscore s twice: a 1").contains("'cumulative' or 'withheld'"));
    let error = ToyScript::parse("vocab: a <e>*\nfault s 1: nan").expect_err("no such score");
    assert!(matches!(error, ScriptError::BadValue { line: 2, .. }));
}
