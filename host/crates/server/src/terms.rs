//! The operator's terms: what the server decides for a request, beside the fields that its client sends.

use crate::{
    admission::Admitted,
    app::App,
    auth::Client,
    deploy::tenant_lane,
    settings::{BudgetPer, InFlight},
};
use inferenceguard_host::Terms;

impl App {
    /// The terms of a request. No other place sets them.
    pub(crate) fn terms(&self, client: &Client, admitted: &Admitted) -> Terms {
        Terms {
            ceilings: client.tenant.budgets.clone(),
            lane: self.lane(client, admitted),
            whole_conversation: self.settings.budget_per == BudgetPer::Conversation,
            migrate: self.settings.in_flight == InFlight::Migrate,
            tenant: Some(client.name.clone()),
        }
    }

    /// A tenant's own lane comes first: its layer always holds. Then the reduced lane, then the canary.
    fn lane(&self, client: &Client, admitted: &Admitted) -> Option<String> {
        let own = client.tenant.layer.as_ref().map(|_| tenant_lane(&client.name));
        let reduced = || self.deployer.reduced_lane(admitted.waiting);
        own.or_else(reduced).or_else(|| self.deployer.canary_lane(admitted.number))
    }
}
