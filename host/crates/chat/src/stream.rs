//! A request, answered, with its text as it is released.

use crate::ChatError;
use inferenceguard_host::{CancelToken, Engine, EngineError, Event, Output, Progress, Request, Status};

/// Answers a request. Text goes to `print` while it is released, if the request says when; then a line break follows it, also
/// before an error. What was released before an error goes to `on_cut_off`, for a record. The request is cancelled when `print`
/// fails.
///
/// # Errors
/// The outer error comes from `print`, the inner one from the request.
pub fn stream<E>(
    engine: &Engine,
    request: Request,
    on_progress: impl Fn(&Progress),
    mut on_cut_off: impl FnMut(Output),
    mut print: impl FnMut(&str) -> Result<(), E>,
) -> Result<Result<Output, EngineError>, E> {
    let (prints, cancel) = (request.release.is_some(), CancelToken::new());
    let (mut printed, mut broken) = (false, None);
    let answered = engine.stream(request, &cancel, |event| match event {
        Event::Progress(progress) => on_progress(&progress),
        Event::Released { text } if prints => {
            printed |= !text.is_empty();
            if let Err(error) = print(&text) {
                broken = Some(error);
                cancel.cancel();
            }
        }
        Event::CutOff { output } if prints => on_cut_off(*output),
        _ => {}
    });
    if let Some(error) = broken {
        return Err(error);
    }
    if prints && (printed || answered.is_ok()) {
        print("\n")?;
    }
    Ok(answered)
}

/// Refuses an output whose request failed.
///
/// # Errors
/// [`ChatError::Failed`].
pub fn check_success(output: &Output) -> Result<(), ChatError> {
    if output.status != Status::Failed {
        return Ok(());
    }
    let reasons: Vec<String> = output.failures.iter().map(ToString::to_string).collect();
    Err(ChatError::Failed { reasons: reasons.join("; ") })
}
