//! Records of real requests on the toy model: they verify, and whatever is changed in them is found.

use inferenceguard_bundle::{Digest, NewKey, SigningKey, VerifyingKey};
use inferenceguard_host::{Output, Request};
use inferenceguard_record::{Deciders, Journal, Line, RecordError, Wrong, forget, holds_signatures, read};
use inferenceguard_search::{Batch, Cost, CostGrain, CostKind, EngineRun, Needs, RepeatsFrom, RoleFailure};
use inferenceguard_testkit::toy::{SCRIPT, engine, roles};
use std::{collections::BTreeMap, fs, path::Path};

fn outputs(budget: f64, count: u64) -> Vec<Output> {
    outputs_of(SCRIPT, budget, count)
}

fn outputs_of(script: &str, budget: f64, count: u64) -> Vec<Output> {
    let engine = engine(script, budget);
    let request = |seed| Request { seed: Some(seed), record: true, ..Request::new("good") };
    (0..count).map(|seed| engine.generate(request(seed)).unwrap()).collect()
}

fn lines(path: &Path) -> Vec<Line> {
    read(path).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn records_verify_and_hold_what_the_output_held() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records.jsonl");
    let outputs = [outputs(11.0, 12), outputs(1.0, 4)].concat();
    let journal = Journal::open(&path, true).unwrap();
    outputs.iter().for_each(|output| drop(journal.append(output).unwrap()));
    let lines = lines(&path);
    assert_eq!(lines.len(), outputs.len());
    for (at, (line, output)) in lines.iter().zip(&outputs).enumerate() {
        let body = line.body.as_ref().unwrap();
        body.verify().unwrap();
        assert_eq!((line.header.sequence, &line.header.status), (at as u64 + 1, &output.status));
        assert_eq!((&body.outcome.text, &body.trace), (&output.text, output.trace.as_ref().unwrap()));
    }
}

#[test]
fn a_claim_that_does_not_add_up_is_found() {
    let output =
        outputs(11.0, 20).into_iter().find(|output| output.constraints[0].cost > 0.0).expect("an output that costs");
    let body = || inferenceguard_record::Body::of(&output).unwrap();
    let mut cheaper = body();
    cheaper.outcome.constraints[0].max_cost -= 1.0;
    assert!(matches!(cheaper.verify(), Err(Wrong::Sum { what, .. }) if what == "`max_cost` of `harm`"));
    let mut looser = body();
    looser.outcome.constraints[0].budget = 99.0;
    assert!(matches!(looser.verify(), Err(Wrong::Sum { what, .. }) if what == "`budget` of `harm`"));
    let mut richer = body();
    *richer.outcome.constraints[0].z.last_mut().unwrap() += 1.0;
    assert!(matches!(richer.verify(), Err(Wrong::Sum { what, .. }) if what == "`z` of `harm`"));
    richer.inputs.config.revision = 0;
    richer.verify().expect("a record of the older rules, under which nothing compared z");
    let mut later = body();
    later.inputs.config.revision = u32::MAX;
    let wrong = later.verify().unwrap_err();
    assert!(matches!(&wrong, Wrong::Unreadable(text) if text.contains("a newer program")), "{wrong}");
    let mut exceeded = body();
    exceeded.inputs.config.constraints[0].constraint.budget = 0.5;
    exceeded.outcome.constraints[0].budget = 0.5;
    assert!(matches!(exceeded.verify(), Err(Wrong::Sum { what, .. }) if what == "status"));
}

#[test]
fn whatever_is_changed_in_a_file_is_found_and_where() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records.jsonl");
    let journal = Journal::open(&path, true).unwrap();
    outputs(11.0, 4).iter().for_each(|output| drop(journal.append(output).unwrap()));
    drop(journal);
    let good = fs::read_to_string(&path).unwrap();
    let all: Vec<&str> = good.split_inclusive('\n').collect();
    let line = |text: String| {
        fs::write(&path, text).unwrap();
        match read(&path).unwrap().find_map(Result::err) {
            Some(RecordError::Line { line, wrong, .. }) => (line, wrong),
            other => panic!("{other:?}"),
        }
    };
    let (at, wrong) = line(good.replacen("within_budget", "budget_exceeded", 1));
    assert!(matches!((at, wrong), (1, Wrong::Hash { .. })));
    let (at, wrong) = line([all[0], all[2], all[3]].concat());
    assert!(matches!((at, wrong), (2, Wrong::Chain { .. })), "one is missing");
    let (at, wrong) = line([all[1], all[0]].concat());
    assert!(matches!((at, wrong), (1, Wrong::Chain { .. })), "the order is another");
    let start = all[1].find("\"body\":\"").unwrap_or(0);
    let body = all[1].rfind("\"body\":\"").unwrap() + 8;
    assert!(start > 0);
    let other = if all[1].as_bytes()[body + 40] == b'A' { "B" } else { "A" };
    let mut changed = all[1].to_owned();
    changed.replace_range(body + 40..body + 41, other);
    let (at, wrong) = line([all[0], &changed].concat());
    assert!(matches!((at, wrong), (2, Wrong::Body { .. })));
    assert!(matches!(line("nonsense\n".to_owned()), (1, Wrong::Unreadable(_))));
}

#[test]
fn what_this_program_does_not_know_is_refused_also_where_the_hashes_are_right() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records.jsonl");
    drop(Journal::open(&path, true).unwrap().append(&outputs(11.0, 1)[0]).unwrap());
    let good = fs::read_to_string(&path).unwrap();
    let (start, end) = (good.find("\"header\":").unwrap() + 9, good.rfind(",\"body\":").unwrap());
    // The line with another header, whose hash is made right.
    let with_header = |from: &str, to: &str| {
        let header = good[start..end].replacen(from, to, 1);
        let hash = Digest::of(header.as_bytes()).to_string();
        format!("{{\"hash\":\"{}\",\"header\":{header}{}", hash.trim_start_matches("sha256:"), &good[end..])
    };
    let reads = |text: &str| {
        fs::write(&path, text).unwrap();
        read(&path).unwrap().map(|line| line.map(drop).map_err(|error| error.to_string())).collect::<Vec<_>>()
    };
    assert!(matches!(reads(&with_header("none", "none"))[..], [Ok(())]), "{good}");
    let format = format!("\"format\":{}", inferenceguard_record::Header::FORMAT);
    for (line, words) in [
        (with_header(&format, "\"format\":99"), "found the format 99; expected 1 to"),
        (with_header(&format, "\"format\":0"), "found the format 0"),
        (with_header(&format, &format!("{format},\"exempt\":true")), "unknown field `exempt`"),
        (good.replacen("{\"hash\"", "{\"checked_by\":\"me\",\"hash\"", 1), "unknown field `checked_by`"),
    ] {
        let read = reads(&line);
        let [Err(found)] = &read[..] else { panic!("{words}: {line}") };
        assert!(found.contains(words), "{words}: {found}");
    }
}

#[test]
fn a_torn_line_is_cut_off_and_the_chain_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records.jsonl");
    let outputs = outputs(11.0, 3);
    let journal = Journal::open(&path, true).unwrap();
    drop(journal.append(&outputs[0]).unwrap());
    assert!(matches!(Journal::open(&path, true), Err(RecordError::Busy { .. })));
    drop(journal);
    let whole = fs::read(&path).unwrap();
    for kept in [0, 1, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, [&whole[..], &whole[..kept]].concat()).unwrap();
        assert_eq!(lines(&path).len(), 1, "a line without its end was never acknowledged");
        let journal = Journal::open(&path, true).unwrap();
        assert_eq!(journal.append(&outputs[1]).unwrap().sequence, 2);
        drop(journal);
        assert_eq!(lines(&path).len(), 2);
    }
}

#[test]
fn bodies_may_be_left_out_or_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records.jsonl");
    let journal = Journal::open(&path, false).unwrap();
    outputs(11.0, 2).iter().for_each(|output| drop(journal.append(output).unwrap()));
    assert!(lines(&path).iter().all(|line| line.body.is_none()));
    assert!(!fs::read_to_string(&path).unwrap().contains("good"), "no text at all");
    let unrecorded = engine(SCRIPT, 11.0).generate(Request::new("good")).unwrap();
    assert!(matches!(journal.append(&unrecorded), Err(RecordError::NotRecorded)));
}

#[test]
fn what_is_forgotten_is_gone_and_the_chain_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records.jsonl");
    let journal = Journal::open(&path, true).unwrap();
    let outputs = outputs(11.0, 3);
    outputs.iter().for_each(|output| drop(journal.append(output).unwrap()));
    assert!(matches!(forget(&path, u64::MAX), Err(RecordError::Busy { .. })), "not while it is written");
    drop(journal);
    let before = lines(&path);
    assert_eq!(forget(&path, before[0].header.at).unwrap(), 0, "none is older than the first");
    assert_eq!(forget(&path, u64::MAX).unwrap(), 3);
    assert_eq!(forget(&path, u64::MAX).unwrap(), 0);
    assert!(
        !fs::read_to_string(&path).unwrap().contains("\"body\":\"ey") && lines(&path).iter().all(|l| l.body.is_none())
    );
    let hashes = |lines: &[Line]| lines.iter().map(|line| line.hash.clone()).collect::<Vec<_>>();
    assert_eq!(hashes(&lines(&path)), hashes(&before));
    let journal = Journal::open(&path, true).unwrap();
    journal.append(&outputs[0]).unwrap();
    assert_eq!(lines(&path).len(), 4);
}

#[test]
fn the_same_roles_decide_the_same_again_and_others_are_found_out() {
    for output in outputs(11.0, 8) {
        let body = inferenceguard_record::Body::of(&output).unwrap();
        let replayed = body.replay(&mut roles().into()).unwrap();
        assert!(replayed.same > 5 && replayed.skipped == 0, "{replayed:?}");
        let mut dearer = body.clone();
        let price = dearer.trace.events.iter_mut().find_map(|(_, answer)| match answer {
            inferenceguard_search::Answer::Priced(Ok(prices)) => prices.first_mut()?.first_mut(),
            _ => None,
        });
        *price.unwrap() += 1e-12;
        let wrong = dearer.replay(&mut roles().into()).unwrap_err();
        assert!(matches!(wrong, Wrong::Replay { need: "price", .. }), "{wrong}");
    }
}

/// A cost that opens a network, and whose prices are off by this much.
struct Networked(Box<dyn Cost>, Needs, f64);

impl Cost for Networked {
    fn needs(&self) -> &Needs {
        &self.1
    }

    fn kind(&self) -> CostKind {
        self.0.kind()
    }

    fn grain(&self) -> CostGrain {
        self.0.grain()
    }

    fn price(&mut self, rows: &Batch) -> Result<Vec<Vec<f64>>, RoleFailure> {
        let mut prices = self.0.price(rows)?;
        prices.iter_mut().flatten().for_each(|price| *price += self.2);
        Ok(prices)
    }
}

#[test]
fn prices_of_networks_on_a_device_must_be_near_each_and_in_sum() {
    let off_by = |apart: f64| {
        let mut first = roles();
        let inner = first.costs.remove("harm").unwrap();
        let needs = Needs { networks: vec!["probe".to_owned()], ..inner.needs().clone() };
        first.costs.insert("harm".to_owned(), Box::new(Networked(inner, needs, apart)));
        Deciders { first, later: BTreeMap::new(), tolerance: 1e-3 }
    };
    let body = inferenceguard_record::Body::of(&outputs(11.0, 1)[0]).unwrap();
    assert!(body.replay(&mut off_by(1e-6)).unwrap().near > 0);
    // Under a budget near 0 the prices of two tokens are too much together.
    let mut tight = body.clone();
    tight.inputs.config.constraints[0].constraint.budget = 1e-3;
    let wrong = tight.replay(&mut off_by(9e-4)).unwrap_err();
    assert!(
        matches!(&wrong, Wrong::Drift { cost, constraint, .. } if (&**cost, &**constraint) == ("harm", "harm")),
        "{wrong}"
    );
    let wrong = body.replay(&mut off_by(0.1)).unwrap_err();
    assert!(matches!(wrong, Wrong::Replay { need: "price", .. }), "{wrong}");
}

#[test]
fn an_explanation_names_the_decisions_and_the_nearest_candidate() {
    let script = SCRIPT.replace("good 3, plain 3, bad 3, <eos> 1", "bad 1");
    let refused = outputs_of(&script, 11.0, 1).remove(0);
    let body = inferenceguard_record::Body::of(&refused).unwrap();
    let steps = body.steps();
    assert!(steps.iter().any(|step| step.safe < step.candidates), "{steps:?}");
    assert!(steps.last().unwrap().decision.contains("nothing is fit"), "{steps:?}");
    let reasons: Vec<_> = steps.iter().flat_map(|step| &step.not_safe).collect();
    assert!(!reasons.is_empty() && steps.iter().all(|step| step.not_safe.len() <= step.candidates - step.safe));
    let is_over = |one: &(String, f64, f64)| one.0 == "harm" && one.1 < 0.0 && one.2 == 11.0;
    assert!(reasons.iter().all(|one| one.broken.len() == 1 && one.broken.iter().all(is_over)), "{steps:?}");
    let nearest = body.nearest().unwrap();
    assert!(!nearest.emitted && nearest.margins.iter().any(|(_, left, _)| *left < 0.0), "{nearest:?}");
    let span = &nearest.dearest[0];
    assert!(span.cost > 0.0 && span.to <= nearest.tokens.len(), "{nearest:?}");

    let answered = outputs(11.0, 20).into_iter().find(|output| !output.tokens.is_empty()).unwrap();
    let nearest = inferenceguard_record::Body::of(&answered).unwrap().nearest().unwrap();
    assert!(nearest.emitted);
    assert_eq!(nearest.tokens, answered.tokens);
}

#[test]
fn an_explanation_counts_tries_that_happened_and_names_each_decision_once() {
    for output in outputs(11.0, 20) {
        let steps = inferenceguard_record::Body::of(&output).unwrap().steps();
        let last = steps.iter().map(|step| u64::from(step.attempt)).max().unwrap_or(0);
        assert!(last <= output.usage.retries, "{} retries, {steps:?}", output.usage.retries);
        assert!(steps.windows(2).all(|pair| pair[0] != pair[1]), "{steps:?}");
    }
}

#[test]
fn a_signed_record_is_its_signers_with_and_without_its_body() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records.jsonl");
    let outputs = outputs(11.0, 2);
    let keys = [NewKey::generate(None).unwrap(), NewKey::generate(None).unwrap()];
    let [mine, other] = keys.each_ref().map(|key| VerifyingKey::parse(&key.public).unwrap());
    let signing = SigningKey::parse(&keys[0].secret, None).unwrap();
    drop(Journal::open(&path, true).unwrap().signing(signing).unwrap().append(&outputs[0]).unwrap());
    drop(Journal::open(&path, true).unwrap().append(&outputs[1]).unwrap());
    let again = SigningKey::parse(&keys[0].secret, None).unwrap();
    let refused = Journal::open(&path, true).unwrap().signing(again).unwrap_err();
    assert!(matches!(refused, RecordError::Line { line: 2, wrong: Wrong::Unsigned(_), .. }), "{refused}");
    for _ in 0..2 {
        let [signed, bare] = lines(&path).try_into().unwrap();
        assert_eq!(signed.signed_by(&mine), Ok(()));
        assert!(matches!(signed.signed_by(&other), Err(Wrong::Unsigned(_))));
        assert!(matches!(bare.signed_by(&mine), Err(Wrong::Unsigned(_))));
        let moved = Line { signature: signed.signature, ..bare };
        assert!(matches!(moved.signed_by(&mine), Err(Wrong::Unsigned(_))));
        assert_eq!(forget(&path, u64::MAX).unwrap() % 2, 0);
    }
}

#[test]
fn a_record_names_every_model_and_others_are_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records.jsonl");
    let journal = Journal::open(&path, true).unwrap();
    let output = outputs(11.0, 1).remove(0);
    let header = journal.append(&output).unwrap();
    assert_eq!(header.format, 2);
    assert_eq!((&header.model, header.scores.as_ref()), (&output.models.model, Some(&output.models.scores)));
    assert!(!header.version.is_empty());
    let models = &output.models;
    header.expects(&models.model, &models.scores).unwrap();
    let other = engine(&SCRIPT.replace("score cost: bad 5", "score cost: bad 0"), 11.0).models().clone();
    assert_eq!(other.model, models.model, "only the cost model is another one");
    let error = header.expects(&models.model, &other.scores).unwrap_err();
    assert!(matches!(&error, Wrong::Model { role, .. } if role == "score model `cost`"), "{error}");
    assert!(header.expects(&models.model, &Default::default()).is_err(), "a missing model is another model");
    assert!(
        matches!(header.expects(&Default::default(), &models.scores), Err(Wrong::Model { role, .. }) if role == "language model")
    );
}

#[test]
fn a_record_names_the_engine_and_says_so_where_it_does_not_repeat_from_the_seed() {
    for (from, written) in [(RepeatsFrom::Seed, false), (RepeatsFrom::Record, true)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records.jsonl");
        let mut output = outputs(11.0, 1).remove(0);
        output.ran = EngineRun { engine: "vllm 0.32.0".to_owned(), repeats_from: from };
        Journal::open(&path, true).unwrap().append(&output).unwrap();
        let header = &lines(&path)[0].header;
        assert_eq!((header.engine.as_str(), header.repeats_from), ("vllm 0.32.0", from));
        assert_eq!(fs::read_to_string(&path).unwrap().contains("\"repeats_from\":\"record\""), written);
    }
}

/// Written by the version before headers named score models: a signed file, and one of which a body was removed.
const EARLIER: [&str; 2] = ["format-1.jsonl", "format-1-signed.jsonl"];

#[test]
fn records_of_the_first_format_verify_and_what_they_do_not_name_is_known() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/earlier");
    for name in EARLIER {
        let lines = lines(&folder.join(name));
        assert!(lines.len() >= 2, "{name}");
        for line in &lines {
            let header = &line.header;
            assert_eq!((header.format, &header.scores, header.version.as_str()), (1, &None, ""));
            assert_eq!((header.engine.as_str(), header.repeats_from), ("", RepeatsFrom::Seed));
            assert_eq!(header.unnamed().len(), 3, "{:?}", header.unnamed());
            if let Some(body) = &line.body {
                body.verify().unwrap();
            }
        }
        assert!(lines.iter().any(|line| line.body.is_some()));
    }
    let key = VerifyingKey::parse(&fs::read_to_string(folder.join("key.pub")).unwrap()).unwrap();
    for line in lines(&folder.join(EARLIER[1])) {
        assert_eq!(line.signed_by(&key), Ok(()));
    }
}

#[test]
fn signatures_are_seen_in_a_file_that_does_not_verify() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records.jsonl");
    for (name, signed) in [(EARLIER[0], false), (EARLIER[1], true)] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/earlier").join(name)).unwrap();
        fs::write(&path, format!("nonsense\n{text}")).unwrap();
        assert!(Journal::open(&path, true).is_err());
        assert_eq!(holds_signatures(&path), signed, "{name}");
    }
    assert!(!holds_signatures(&dir.path().join("none")));
}

#[test]
fn records_go_on_in_a_file_of_the_first_format() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records.jsonl");
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/earlier").join(EARLIER[0]), &path).unwrap();
    let before = lines(&path).len();
    Journal::open(&path, true).unwrap().append(&outputs(11.0, 1)[0]).unwrap();
    let after = lines(&path);
    assert_eq!((after.len(), after[before].header.format), (before + 1, 2));
    assert_eq!(forget(&path, u64::MAX).unwrap() as usize, after.iter().filter(|line| line.body.is_some()).count());
    assert_eq!(lines(&path).len(), before + 1);
}
