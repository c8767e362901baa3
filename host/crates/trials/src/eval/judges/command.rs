//! A judge that is a program. It reads questions as JSON lines on its standard input and writes verdicts as JSON lines. No shell
//! reads the command, and no text of a question becomes an argument.

use super::HARMFUL;
use inferenceguard_eval::{EvalError, Grader, JudgeId, JudgeProblem, Keep, Question, Replies, question_lines};
use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel},
    thread,
    time::Duration,
};

/// Lines that wait to be read.
const WAITING: usize = 64;
/// How long a judge may take to end after its last verdict, and to say why it ended early.
const GOODBYE: Duration = Duration::from_secs(5);
/// The most bytes of its standard error that are kept, and characters of its last line that are shown.
const WORDS: (usize, usize) = (4096, 200);

/// A program that is started for each round of questions.
pub(super) struct CommandJudge {
    id: JudgeId,
    words: Vec<String>,
    timeout: Duration,
}

impl CommandJudge {
    /// A program with its arguments. It may be silent for as long as `timeout`.
    pub(super) fn new(name: &str, words: Vec<String>, timeout: Duration) -> Self {
        let by = format!("command:{}", words.join(" "));
        Self { id: JudgeId { name: name.to_owned(), by, threshold: HARMFUL }, words, timeout }
    }
}

impl Grader for CommandJudge {
    fn id(&self) -> &JudgeId {
        &self.id
    }

    fn grade(&mut self, questions: &[Question<'_>], keep: &mut Keep<'_>) -> Result<(), EvalError> {
        let wrong = |problem| EvalError::Judge { judge: self.id.name.clone(), problem };
        let mut running = Running::start(&self.words, question_lines(questions)?).map_err(wrong)?;
        let mut replies = Replies::new(questions.len());
        while let Some(line) = running.line(self.timeout, &replies).map_err(wrong)? {
            let (at, finding) = replies.read(&line).map_err(wrong)?;
            keep(at, finding)?;
        }
        Ok(())
    }
}

/// A program at work. It is killed when this is dropped.
struct Running {
    child: Child,
    lines: Receiver<Result<Vec<u8>, String>>,
    errors: Receiver<String>,
}

impl Running {
    fn start(words: &[String], questions: Vec<u8>) -> Result<Self, JudgeProblem> {
        let program = words.first().cloned().unwrap_or_default();
        let mut command = Command::new(&program);
        command.args(words.iter().skip(1)).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|cause| JudgeProblem::Start { program, cause })?;
        let ((send, lines), (last, errors)) = (sync_channel(WAITING), channel());
        let (input, output, error) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // A judge that does not read to the end ends early, or has all it needs: its replies tell.
        thread::spawn(move || input.map(|mut input| input.write_all(&questions)));
        thread::spawn(move || output.map(|output| pass_lines(output, &send)));
        thread::spawn(move || error.map(|error| last.send(last_line(error))));
        Ok(Self { child, lines, errors })
    }

    /// The next line; nothing once all questions have replies and the program has no more to say.
    fn line(&mut self, timeout: Duration, replies: &Replies) -> Result<Option<Vec<u8>>, JudgeProblem> {
        let (missing, asked) = (replies.missing(), replies.asked());
        match self.lines.recv_timeout(if missing == 0 { GOODBYE } else { timeout }) {
            Ok(Ok(line)) => Ok(Some(line)),
            Ok(Err(problem)) => Err(JudgeProblem::Output(problem)),
            Err(_) if missing == 0 => Ok(None),
            Err(RecvTimeoutError::Timeout) => Err(JudgeProblem::Silent { seconds: timeout.as_secs(), missing, asked }),
            Err(RecvTimeoutError::Disconnected) => Err(self.ended(missing, asked)),
        }
    }

    fn ended(&mut self, missing: usize, asked: usize) -> JudgeProblem {
        // Its last words come when it ends.
        let words = self.errors.recv_timeout(GOODBYE).unwrap_or_default();
        let status = self.status().map(|status| status.to_string());
        let how = status.unwrap_or_else(|| "it closed its standard output".to_owned());
        JudgeProblem::Ended { how, missing, asked, words }
    }

    /// How it ended, if it does soon.
    fn status(&mut self) -> Option<ExitStatus> {
        const LOOK: Duration = Duration::from_millis(10);
        (0..GOODBYE.as_millis() / LOOK.as_millis()).find_map(|_| {
            let status = self.child.try_wait().ok().flatten();
            if status.is_none() {
                thread::sleep(LOOK);
            }
            status
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Passes lines on until the program ends, nobody waits for them, or a line is too long to be a reply.
fn pass_lines(output: ChildStdout, send: &SyncSender<Result<Vec<u8>, String>>) {
    let mut reader = BufReader::new(output);
    loop {
        let mut line = Vec::new();
        let most = Replies::MOST_BYTES as u64 + 1;
        let passed = match reader.by_ref().take(most).read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(_) => send.send(Ok(line)),
            Err(error) => send.send(Err(error.to_string())),
        };
        if passed.is_err() {
            return;
        }
    }
}

/// The last line that is not blank, cut.
fn last_line(mut error: ChildStderr) -> String {
    let (mut kept, mut part) = (Vec::new(), [0; 1024]);
    while let Ok(read @ 1..) = error.read(&mut part) {
        kept.extend_from_slice(&part[..read]);
        let old = kept.len().saturating_sub(WORDS.0);
        kept.drain(..old);
    }
    let text = String::from_utf8_lossy(&kept);
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    last.chars().take(WORDS.1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, time::Instant};

    /// What a shell script says of two answers: the scores that were kept, and how it ended.
    fn judged(script: &str) -> (Vec<(usize, f64)>, Result<(), String>) {
        judged_within(script, 60)
    }

    fn judged_within(script: &str, seconds: u64) -> (Vec<(usize, f64)>, Result<(), String>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("judge.sh");
        fs::write(&file, script).unwrap();
        let words = vec!["sh".to_owned(), file.to_str().unwrap().to_owned()];
        let mut judge = CommandJudge::new("script", words, Duration::from_secs(seconds));
        let asked = [Question { prompt: "p", response: "a" }, Question { prompt: "$(p)", response: "`b`\n\"" }];
        let mut kept = Vec::new();
        let ended = judge.grade(&asked, &mut |at, finding| {
            kept.push((at, finding.score));
            Ok(())
        });
        (kept, ended.map_err(|error| error.to_string()))
    }

    const REPLIES: &str = "echo '{\"id\": 1, \"harmful\": true}'; echo '{\"id\": 0, \"harm\": 0.25}'";

    #[test]
    fn a_program_replies_in_any_order() {
        let whole = (vec![(1, 1.0), (0, 0.25)], Ok(()));
        assert_eq!(judged(REPLIES), whole);
        assert_eq!(judged(&format!("while read -r line; do :; done; echo loading >&2; {REPLIES}; exit 3")), whole);
    }

    #[test]
    fn it_reads_the_questions_as_lines() {
        let script = "read -r one; read -r two; printf '%s\\n' \"$two\" >&2";
        let (_, ended) = judged(script);
        // Each question is one line; the second one is the last word of the script.
        let expected = serde_json::json!({"id": 1, "prompt": "$(p)", "response": "`b`\n\""}).to_string();
        assert!(ended.unwrap_err().contains(&format!("{expected:?}")));
    }

    #[test]
    fn a_program_that_lingers_is_ended() {
        let before = Instant::now();
        assert_eq!(judged(&format!("{REPLIES}; kill -STOP $$")).1, Ok(()));
        assert!(before.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn every_failure_is_named_and_what_came_before_is_kept() {
        let first = "echo '{\"id\": 0, \"harm\": 0}'";
        for (rest, words) in [
            (
                "echo no model here >&2; exit 3",
                "without 1 of 2 verdicts; expected one for each id; its last words: \"no model here\"",
            ),
            ("kill -KILL $$", "without 1 of 2 verdicts"),
            ("echo '{\"id\": 2, \"harm\": 0}'", "replied to the id 2; expected an id below 2"),
            ("echo '{\"id\": 0, \"harm\": 0}'", "the id 0 twice"),
            ("echo '{\"id\": 1, \"harm\": NaN}'", "line 2 of its replies"),
            ("echo '{\"id\": 1, \"harm\": 2}'", "the harm of id 1 is 2; expected a number from 0 to 1"),
            ("echo", "line 2 of its replies is \"\""),
            (
                "a=aaaaaaaaaa; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do a=$a$a; done; echo $a",
                "line 2 of its replies has more than 65536 bytes",
            ),
            ("echo '{\"id\": 1, \"harm\": 1}'; echo '{\"id\": 1, \"harm\": 1}'", "the id 1 twice"),
        ] {
            let (kept, ended) = judged(&format!("{first}; {rest}"));
            let found = ended.unwrap_err();
            assert!(found.starts_with("judge script: ") && found.contains(words), "{rest}: {found}");
            assert_eq!(kept[0], (0, 0.0), "{rest}");
        }
    }

    #[test]
    fn a_silent_program_is_named_and_ended() {
        let (kept, ended) = judged_within("echo '{\"id\": 0, \"harm\": 0}'; kill -STOP $$", 5);
        let found = ended.unwrap_err();
        assert!(found.contains("it wrote nothing for 5 seconds, and 1 of 2 verdicts are missing"), "{found}");
        assert_eq!(kept, [(0, 0.0)]);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let mut judge = CommandJudge::new("none", vec!["no/such/judge".to_owned()], Duration::from_secs(1));
        let asked = [Question { prompt: "p", response: "a" }];
        let found = judge.grade(&asked, &mut |_, _| Ok(())).unwrap_err().to_string();
        assert!(found.starts_with("judge none: no/such/judge did not start: "), "{found}");
    }
}
