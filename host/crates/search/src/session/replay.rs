//! Plays a trace again: a session must need the same things.

use crate::{Need, SearchError, Session, Trace, trace::same};

impl Trace {
    /// Runs a fresh session of the same configuration over the recorded answers: it must need the same things. A trace
    /// of a session that grew token by token is replayed in the same way.
    ///
    /// # Errors
    /// [`SearchError::Divergence`] at the first need that differs.
    pub fn replay(&self, session: &mut Session) -> Result<(), SearchError> {
        if self.events.iter().any(|(need, _)| matches!(need, Need::Sample(_))) {
            session.token_by_token();
        }
        for (event, (need, answer)) in self.events.iter().enumerate() {
            let again = session.next().for_trace();
            same(event, need, &again)?;
            session.feed(answer.clone())?;
        }
        Ok(())
    }
}
