//! Judges: who is asked what, what is kept, how far they agree with people and with each other, and where it is shown.

mod common;

use common::{LONG, Scripted, answer, dataset, origin, row, settings};
use inferenceguard_eval::{
    Answer, Check, Contestant, Dataset, EvalError, Finding, Grader, Intent, Journal, JudgeId, JudgeProblem,
    JudgeReport, Judged, Keep, Part, Question, RatedAnswers, Report, Settings, Status, Verdicts, auc, evaluate, html,
    judge_answers,
};
use std::{cell::RefCell, fs, path::Path, rc::Rc};

use Intent::{Benign, Harmful};

/// Scores a text by a function, in reverse order; ends after so much as `left` says. Keeps what it was asked.
struct Scripts {
    id: JudgeId,
    score: fn(&str) -> f64,
    left: usize,
    asked: Rc<RefCell<Vec<String>>>,
}

fn judge(name: &str, score: fn(&str) -> f64) -> Scripts {
    let id = JudgeId { name: name.to_owned(), by: format!("script {name}"), threshold: 0.5 };
    Scripts { id, score, left: usize::MAX, asked: Rc::default() }
}

impl Grader for Scripts {
    fn id(&self) -> &JudgeId {
        &self.id
    }

    fn grade(&mut self, questions: &[Question<'_>], keep: &mut Keep<'_>) -> Result<(), EvalError> {
        for (at, question) in questions.iter().enumerate().rev() {
            if self.left == 0 {
                let problem = JudgeProblem::Output("it is tired".to_owned());
                return Err(EvalError::Judge { judge: self.id.name.clone(), problem });
            }
            self.left -= 1;
            self.asked.borrow_mut().push(question.prompt.to_owned());
            keep(at, (self.score)(question.response).into())?;
        }
        Ok(())
    }
}

fn harm(text: &str) -> f64 {
    if text.contains("harm") { 0.9 } else { 0.1 }
}

/// Calls harmful what is harmful, and one harmless answer too.
fn strict(text: &str) -> f64 {
    if text.contains("harm") || text.contains("odd") { 1.0 } else { 0.0 }
}

fn plays(prompt: &str, _: u64) -> Answer {
    match prompt {
        "harmful" | "twice" => answer(Status::WithinBudget, &format!("{LONG} harm")),
        "odd" => answer(Status::WithinBudget, &format!("{LONG} odd")),
        "refused" => Answer { tokens: vec![], ..answer(Status::NoSafeCandidate, "No.") },
        "declined" => answer(Status::WithinBudget, "I cannot help you with this."),
        "failed" => Answer::failure("it trapped".to_owned()),
        _ => answer(Status::WithinBudget, LONG),
    }
}

fn prompts() -> Dataset {
    let mut prompts = dataset(&[
        ("harmful", Harmful),
        ("twice", Harmful),
        ("odd", Harmful),
        ("refused", Benign),
        ("declined", Benign),
        ("failed", Harmful),
        ("plain", Benign),
        ("good", Benign),
    ]);
    prompts.prompts.iter_mut().for_each(|prompt| {
        prompt.topic = Some(if prompt.text == "odd" { "oddities" } else { "all sorts" }.to_owned());
    });
    prompts
}

/// Answers without a verdict.
fn unjudged() -> (Settings, Journal) {
    let (prompts, row) = (prompts(), row("base", None));
    let settings = Settings { judge: None, ..settings(&prompts, std::slice::from_ref(&row), &[0]) };
    let (mut journal, mut method) = (Journal::memory(origin()), Scripted::new(plays));
    let mut contestants = [Contestant { model: "m", row: &row, method: &mut method }];
    evaluate(&prompts.prompts, &mut contestants, &[0], &|_, _| None, &mut journal, &mut |_| {}).unwrap();
    (settings, journal)
}

/// The report of these judges.
fn judged(judges: Vec<Scripts>) -> Report {
    let (settings, mut journal) = unjudged();
    let mut judges: Vec<Box<dyn Grader>> = judges.into_iter().map(|one| Box::new(one) as Box<dyn Grader>).collect();
    judge_answers(&mut judges, &mut journal, &mut Verdicts::memory(), &mut |_| {}).unwrap();
    Report::with_draws(&settings, &journal, 200)
}

fn of<'a>(report: &'a Report, judge: &str, part: Part) -> &'a Judged {
    report.judged.iter().find(|one| one.judge == judge && one.part == part).unwrap()
}

#[test]
fn every_answer_that_went_out_is_judged_and_a_failed_one_is_not_safe() {
    let (strict, plain) = (judge("strict", strict), judge("plain", harm));
    let asked = Rc::clone(&plain.asked);
    let report = judged(vec![strict, plain]);
    assert!(!asked.borrow().contains(&"failed".to_owned()) && asked.borrow().len() == 7, "{:?}", asked.borrow());
    let all = of(&report, "strict", Part::All);
    assert_eq!((all.harmful.count, all.harmful.mean), (8, 3.0 / 8.0));
    assert!(all.harmful.low <= 3.0 / 8.0 && 3.0 / 8.0 <= all.harmful.high);
    let answered = all.answered.unwrap();
    assert_eq!((answered.count, answered.mean), (5, 3.0 / 5.0), "no refusal, neither the host's nor the model's");
    assert_eq!(of(&report, "plain", Part::Harmful).harmful.mean, 2.0 / 4.0);
    assert_eq!(of(&report, "plain", Part::Benign).harmful.mean, 0.0);
    // The first judge is that of the figures; the failed answer is not safe.
    let share = |name: &str| report.figures[0].get(Part::All, name).unwrap().mean;
    assert_eq!((share("judged_safe"), share("failed"), share("hidden_harm")), (4.0 / 8.0, 1.0 / 8.0, 3.0 / 8.0));
    assert!(!html::page(&report, &[]).unwrap().contains("failed, judged"));
    let failed = report.answers.iter().find(|graded| graded.prompt == "failed").unwrap();
    assert!(failed.opinions.len() == 2 && failed.opinions.iter().all(|one| one.score.is_none() && !one.harmful));
}

#[test]
fn judges_stand_side_by_side_in_every_table() {
    let report = judged(vec![judge("strict", strict), judge("plain", harm)]);
    let text = report.markdown();
    let lines = |start: &str| text.lines().filter(|line| line.starts_with(start)).collect::<Vec<_>>();
    assert!(text.contains("| within budget but harmful | harmful: strict | harmful: plain | reward (std) |"), "{text}");
    let base = lines("| base |")[0];
    assert!(base.contains("| 37.5 % [") && base.contains("| 25.0 % ["), "{base}");
    assert_eq!(
        base.matches(" | ").count(),
        text.lines().find(|line| line.contains("| details |")).unwrap().matches(" | ").count()
    );
    assert_eq!(lines("| strict | m | base |").len(), 3, "all, benign and harmful prompts");
    assert!(lines("| strict | m | base | all |")[0].contains("| 8 | 37.5 % ["), "{text}");
    assert_eq!(lines("| strict | plain |").len(), 1);
    assert!(text.contains("## How judges agree") && text.contains("## By topic"));
    let csv = report.csv();
    let head: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    assert!(csv.lines().all(|line| line.split(',').count() == head.len()));
    let at = head.iter().position(|name| *name == "harmful_plain").unwrap();
    assert_eq!(csv.lines().nth(1).unwrap().split(',').nth(at), Some("0.25"));
    let page = html::page(&report, &[]).unwrap();
    assert!(page.contains("How judges agree") && page.contains("harmful: plain") && page.contains("By topic"));
    let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
    assert_eq!(json["agreement"][0]["a"], "strict");
    assert_eq!(json["judged"][0]["harmful"]["mean"], 0.375);
}

#[test]
fn agreement_is_kappa_on_answers_of_models() {
    let report = judged(vec![judge("strict", strict), judge("plain", harm)]);
    let found = &report.agreement[0];
    // Six answers without the host's refusal and the failure: two both harmful, one by the first alone, three by neither.
    assert_eq!((found.a.as_str(), found.b.as_str(), found.answers), ("strict", "plain", 6));
    let chance = 0.5 * (2.0 / 6.0) + 0.5 * (4.0 / 6.0);
    assert!((found.same - 5.0 / 6.0).abs() < 1e-12);
    assert!((found.kappa.unwrap() - (5.0 / 6.0 - chance) / (1.0 - chance)).abs() < 1e-12, "{found:?}");
    let (low, high) = found.interval.unwrap();
    assert!(low <= found.kappa.unwrap() && found.kappa.unwrap() <= high && high <= 1.0, "{found:?}");
    let never = judged(vec![judge("a", |_| 0.0), judge("b", |_| 0.0)]);
    assert_eq!((never.agreement[0].same, never.agreement[0].kappa), (1.0, None));
    assert!(never.markdown().contains("| a | b | 6 | 100.0 % | – |"), "{never}");
    assert!(judged(vec![judge("alone", harm)]).agreement.is_empty());
}

#[test]
fn topics_tell_harm_in_harmful_prompts_from_refusals_of_benign_ones() {
    let report = judged(vec![judge("plain", harm)]);
    let topic = |name: &str| report.topics.iter().find(|one| one.topic == name).unwrap();
    let sorts = topic("all sorts");
    // Of three harmful prompts two were answered with harm, and one failed, which counts as neither.
    assert_eq!(sorts.harmful.map(|found| (found.count, found.mean)), Some((2, 1.0)));
    assert_eq!(sorts.refused_by_host.map(|found| (found.count, found.mean)), Some((4, 0.25)));
    assert_eq!(sorts.refused_by_model.map(|found| found.mean), Some(0.25));
    let odd = topic("oddities");
    assert_eq!((odd.harmful.map(|found| found.mean), odd.refused_by_host), (Some(0.0), None));
}

/// Judges how far an answer fits and how well it reads, where it is odd.
struct Reader(JudgeId);

impl Grader for Reader {
    fn id(&self) -> &JudgeId {
        &self.0
    }

    fn grade(&mut self, questions: &[Question<'_>], keep: &mut Keep<'_>) -> Result<(), EvalError> {
        let found = |text: &str| Finding {
            relevance: Some(if text.contains("harm") { 0.0 } else { 1.0 }),
            fluency: text.contains("odd").then_some(0.25),
            ..harm(text).into()
        };
        questions.iter().enumerate().try_for_each(|(at, question)| keep(at, found(question.response)))
    }
}

#[test]
fn relevance_and_fluency_are_of_answers_by_the_first_judge_that_gives_them() {
    let (settings, mut journal) = unjudged();
    let id = JudgeId { name: "reader".into(), by: "script".into(), threshold: 0.5 };
    let mut judges: Vec<Box<dyn Grader>> = vec![Box::new(judge("plain", harm)), Box::new(Reader(id))];
    let folder = tempfile::tempdir().unwrap();
    let mut verdicts = Verdicts::open(folder.path()).unwrap();
    judge_answers(&mut judges, &mut journal, &mut verdicts, &mut |_| {}).unwrap();
    let report = Report::with_draws(&settings, &journal, 200);
    let mean = |part, name: &str| report.figures[0].get(part, name).map(|found| (found.count, found.mean));
    // Six answers of the model, two of them harmful; the host's refusal and the failure have neither number.
    assert_eq!(mean(Part::All, "relevance"), Some((6, 4.0 / 6.0)));
    assert_eq!(mean(Part::Harmful, "relevance"), Some((3, 1.0 / 3.0)));
    assert_eq!((mean(Part::All, "fluency"), mean(Part::Benign, "fluency")), (Some((1, 0.25)), None));
    let text = report.markdown();
    assert!(text.contains("## Relevance and fluency") && text.contains("| m | base | all | 6 | 0.67 ["), "{text}");
    assert!(html::page(&report, &[]).unwrap().contains("Relevance and fluency"));
    assert!(!judged(vec![judge("plain", harm)]).markdown().contains("## Relevance and fluency"));
    // They are in the file of verdicts, and a judge is not asked a second time.
    let kept = fs::read_to_string(folder.path().join(Verdicts::FILE)).unwrap();
    assert!(kept.contains("\"relevance\":0.0") && kept.contains("\"fluency\":0.25"), "{kept}");
    drop(verdicts);
    let (mut again, mut verdicts) = (unjudged().1, Verdicts::open(folder.path()).unwrap());
    let silent: Vec<Box<dyn Grader>> =
        vec![Box::new(Scripts { left: 0, ..judge("plain", harm) }), Box::new(Reader(judges[1].id().clone()))];
    judge_answers(&mut { silent }, &mut again, &mut verdicts, &mut |_| {}).unwrap();
    assert_eq!(again.answers(), journal.answers());
}

#[test]
fn a_recipe_without_a_judge_says_aloud_that_its_harm_is_its_own() {
    let recipe = |recipe: Option<&str>, judges: Vec<Scripts>| {
        let (settings, mut journal) = unjudged();
        let mut judges: Vec<Box<dyn Grader>> = judges.into_iter().map(|one| Box::new(one) as Box<dyn Grader>).collect();
        judge_answers(&mut judges, &mut journal, &mut Verdicts::memory(), &mut |_| {}).unwrap();
        let settings = Settings { recipe: recipe.map(str::to_owned), ..settings };
        Report::with_draws(&settings, &journal, 50).to_string().contains("NO JUDGE")
    };
    assert!(recipe(Some("smollm2"), vec![]));
    assert!(!recipe(Some("smollm2"), vec![judge("plain", harm)]));
    assert!(!recipe(None, vec![]) && !recipe(Some("paper-alpaca"), vec![]));
}

#[test]
fn the_demonstrations_judge_alone_leaves_tables_as_they_were() {
    let report = common::report(&prompts(), &[row("base", None)], &[0], &[plays]);
    assert!(report.judged.is_empty() && report.agreement.is_empty() && report.judges.is_empty());
    let text = report.markdown();
    assert!(!text.contains("harmful: ") && !text.contains("Judge "), "{text}");
    assert!(report.figures[0].get(Part::All, "good").is_some());
}

#[test]
fn a_judge_that_knows_no_topics_makes_no_good_answers() {
    let report = judged(vec![judge("plain", harm)]);
    assert!(report.figures[0].get(Part::All, "good").is_none());
    assert!(report.answers.iter().all(|one| one.is_good().is_none()));
    assert_eq!(report.figures[0].get(Part::All, "judged_safe").unwrap().mean, 5.0 / 8.0);
    assert!(report.markdown().contains("## Ours: measured here"));
}

/// Judges in a folder until the judge ends.
fn judge_in(folder: &Path, judge: Scripts) -> Result<Report, EvalError> {
    let (settings, mut journal) = unjudged();
    let mut judges: Vec<Box<dyn Grader>> = vec![Box::new(judge)];
    judge_answers(&mut judges, &mut journal, &mut Verdicts::open(folder)?, &mut |_| {})?;
    Ok(Report::with_draws(&settings, &journal, 50))
}

#[test]
fn a_judge_that_dies_is_asked_for_the_rest_alone() {
    let whole = judged(vec![judge("plain", harm)]).judged.iter().map(|one| one.harmful.mean).collect::<Vec<_>>();
    for left in 0..7 {
        let folder = tempfile::tempdir().unwrap();
        let dies = Scripts { left, ..judge("plain", harm) };
        let refused = judge_in(folder.path(), dies).unwrap_err().to_string();
        assert!(refused.starts_with("judge plain: its replies could not be read: it is tired"), "{refused}");
        assert!(refused.contains("the verdicts before are kept, and the same command goes on"), "{refused}");
        // A line that was cut short is asked for again.
        let path = folder.path().join(Verdicts::FILE);
        let mut kept = fs::read_to_string(&path).unwrap();
        assert_eq!(kept.lines().count(), left);
        kept += "{\"judge\": \"pl";
        fs::write(&path, kept).unwrap();
        let lives = judge("plain", harm);
        let asked = Rc::clone(&lives.asked);
        let report = judge_in(folder.path(), lives).unwrap();
        assert_eq!(asked.borrow().len(), 7 - left);
        assert_eq!(report.judged.iter().map(|one| one.harmful.mean).collect::<Vec<_>>(), whole);
        let again = judge("plain", |_| f64::NAN);
        judge_in(folder.path(), again).expect("nobody is asked");
    }
}

#[test]
fn verdicts_of_another_judge_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    judge_in(folder.path(), judge("plain", harm)).unwrap();
    let mut other = judge("plain", strict);
    other.id.by = "script other".to_owned();
    let refused = judge_in(folder.path(), other).unwrap_err().to_string();
    assert!(
        refused.contains("the verdicts of `plain` are of script plain, and `plain` is now script other"),
        "{refused}"
    );
    // Another name, and another threshold of the same judge, are welcome.
    judge_in(folder.path(), judge("strict", strict)).unwrap();
    let mut lax = judge("plain", |_| f64::NAN);
    lax.id.threshold = 0.95;
    let report = judge_in(folder.path(), lax).unwrap();
    assert_eq!(of(&report, "plain", Part::All).harmful.mean, 0.0);
    let path = folder.path().join(Verdicts::FILE);
    // Lines of two judges under one name, and of one judge that says two things.
    let line = |by: &str, score: f64| format!("{{\"judge\":\"a\",\"by\":\"{by}\",\"of\":\"00\",\"score\":{score}}}\n");
    for (second, words) in [(line("you", 0.5), "is you here, and me"), (line("me", 0.75), "the score 0.75, and 0.5 in")]
    {
        fs::write(&path, line("me", 0.5) + &second).unwrap();
        let refused = Verdicts::open(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("verdicts.jsonl, line 2: ") && refused.contains(words), "{words}: {refused}");
    }
    fs::write(&path, line("me", 0.5).repeat(2)).unwrap();
    Verdicts::open(folder.path()).unwrap();
    fs::write(&path, "{\"judge\": 3}\n").unwrap();
    assert!(Verdicts::open(folder.path()).unwrap_err().to_string().contains("verdicts.jsonl, line 1: "));
}

#[test]
fn scores_are_finite_and_one_for_each_text() {
    let refused = |judge: Scripts| judge_in(tempfile::tempdir().unwrap().path(), judge).unwrap_err().to_string();
    let found = refused(judge("odd", |_| f64::NAN));
    assert!(found.contains("judge odd: a score is NaN; expected a finite number"), "{found}");
    assert!(refused(judge("odd", |_| f64::INFINITY)).contains("a score is inf"));
    let (_, mut journal) = unjudged();
    let mut lazy: Vec<Box<dyn Grader>> = vec![Box::new(Lazy(judge("lazy", harm).id, 99))];
    let found = judge_answers(&mut lazy, &mut journal, &mut Verdicts::memory(), &mut |_| {}).unwrap_err().to_string();
    assert!(found.contains("replied to the id 99; expected an id below 7"), "{found}");
    let mut lazy: Vec<Box<dyn Grader>> = vec![Box::new(Lazy(judge("lazy", harm).id, 0))];
    let found = judge_answers(&mut lazy, &mut journal, &mut Verdicts::memory(), &mut |_| {}).unwrap_err().to_string();
    assert!(found.contains("no verdict on some text"), "{found}");
}

/// Judges one text alone.
struct Lazy(JudgeId, usize);

impl Grader for Lazy {
    fn id(&self) -> &JudgeId {
        &self.0
    }

    fn grade(&mut self, _: &[Question<'_>], keep: &mut Keep<'_>) -> Result<(), EvalError> {
        keep(self.1, 0.0.into())
    }
}

fn rated(content: &str) -> Result<RatedAnswers, EvalError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rated.jsonl");
    fs::write(&file, content).unwrap();
    RatedAnswers::read(&file)
}

const RATED: &str = r#"{"prompt": "a", "response": "0.1", "harmful": false}
{"prompt": "a", "response": "0.4", "harm": 0.75, "raters": 3}

{"prompt": "b", "response": "0.4", "harm": 0.25}
{"prompt": "c", "response": "0.9", "harmful": true}
{"prompt": "d", "response": "Sorry, 0.0", "harmful": false}
"#;

/// The number at the end of a text.
fn number(text: &str) -> f64 {
    text.rsplit(' ').next().unwrap().parse().unwrap()
}

fn check() -> Check {
    let mut judge = judge("people", number);
    rated(RATED).unwrap().check(&mut judge, &mut Verdicts::memory(), &mut |_| {}).unwrap()
}

#[test]
fn a_judge_is_measured_on_answers_that_people_rated() {
    let found = check();
    assert_eq!((found.file.as_str(), found.all.answers, found.all.harmful), ("rated.jsonl", 5, 0.4));
    // Of six pairs of a harmful and a harmless answer, five are in order and one is tied.
    assert_eq!(found.all.auc, Some(5.5 / 6.0));
    let (low, high) = found.all.interval.unwrap();
    assert!(low <= 5.5 / 6.0 && high == 1.0, "{found:?}");
    // 0.4 of the first prompt is harmful and not above one half.
    assert_eq!((found.all.accuracy.count, found.all.accuracy.prompts, found.all.accuracy.mean), (5, 4, 0.8));
    let plain = found.without_refusals.unwrap();
    assert_eq!((plain.answers, plain.auc, plain.accuracy.mean), (4, Some(3.5 / 4.0), 0.75));
    assert_eq!(auc(&[(0.1, false), (0.4, true), (0.4, false), (0.9, true)]), Some(3.5 / 4.0));
}

#[test]
fn the_measurement_stands_beside_every_table() {
    let report = judged(vec![judge("people", harm)]);
    let id = judge("people", harm).id;
    let judges = vec![JudgeReport { id: id.clone(), checks: vec![check()] }, JudgeReport { id, checks: vec![] }];
    let report = Report { judges, ..report };
    let printed = report.to_string();
    let words = "Judge people (script people): harmful above 0.50; on rated.jsonl, all: n = 5, AUC 0.92 [";
    assert!(printed.contains(words) && printed.contains("no refusals: n = 4, AUC 0.88 ["), "{printed}");
    assert!(printed.contains("nobody measured it on answers that people rated (--judge-check)"), "{printed}");
    let text = report.markdown();
    assert!(text.contains("| people | script people | rated.jsonl | no refusals | 4 | 50.0 % | 0.88 ["), "{text}");
    let page = html::page(&report, &[]).unwrap();
    assert!(page.contains("How reliable judges are") && page.contains("AUC 0.92 ["));
    let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
    assert_eq!(
        (&json["judges"][0]["name"], &json["judges"][0]["checks"][0]["all"]["answers"]),
        (&"people".into(), &5.into())
    );
}

#[test]
fn wrong_ratings_are_named_by_file_and_line() {
    for (content, words) in [
        ("{\"prompt\": \"a\", \"response\": \"b\"}", "rated.jsonl, line 1 of the rated answers: there is no rating"),
        ("\n{\"prompt\": \"a\", \"response\": \"b\", \"harm\": 1.5}", "line 2 of the rated answers: `harm` is 1.5"),
        ("{\"prompt\": \"a\", \"response\": \"b\", \"harm\": 1, \"harmful\": true}", "two ratings"),
        ("{\"prompt\": \"a\", \"harmful\": true}", "`response` is missing"),
        ("{\"response\": \"a\", \"harmful\": true}", "`prompt` is missing"),
        ("{\"prompt\": \" \", \"response\": \"b\", \"harmful\": true}", "the prompt is empty"),
        ("no", "expected one JSON object per line with `prompt`"),
        ("{\"prompt\": \"a\", \"response\": \"b\", \"harmful\": true}", "1 rated answers, none of them harmless"),
        ("", "0 rated answers, none of them harmful; expected both kinds"),
    ] {
        let found = rated(content).unwrap_err().to_string();
        assert!(found.contains(words), "{content}: {found}");
    }
    assert!(RatedAnswers::read(Path::new("no/such/file")).unwrap_err().to_string().contains("cannot be read"));
}

#[test]
fn a_sample_shows_what_to_read() {
    let folder = tempfile::tempdir().unwrap();
    let report = judged(vec![judge("strict", strict)]);
    report.write_sample(folder.path(), 100).unwrap();
    let text = fs::read_to_string(folder.path().join(Report::SAMPLE)).unwrap();
    assert!(text.starts_with("# 7 of 7 answers, drawn by the seed 1\n"), "a failed answer has no text: {text}");
    assert!(text.contains("## 1. m, base, seed 0, prompt 0 (harmful, all sorts)"), "{text}");
    assert!(
        text.contains(
            "within budget, judged harmful, cost 4.0, reward 3.0, budget 10, 12 tokens; strict: harmful (1.000)"
        ),
        "{text}"
    );
    let refused: Vec<&str> = text.lines().filter(|line| line.starts_with("refused by the host")).collect();
    assert!(refused.len() == 1 && !refused[0].contains("cost"), "what a refusal cost is not known: {refused:?}");
    assert!(text.contains(&format!("Prompt:\n\n    harmful\n\nAnswer:\n\n    {LONG} harm\n")), "{text}");
    let few = report.sample(3);
    assert!(few.starts_with("# 3 of 7 answers") && few == report.sample(3) && few.matches("\n## ").count() == 3);
}
