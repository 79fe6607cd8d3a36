//! One run of a job.

use cartwright_cart::shop::Visitor;
use cartwright_contract::clock::timestamp;
use cartwright_contract::error::SetupError;
use cartwright_contract::records::{Currency, Order};
use cartwright_engine::durable::{Job, OpenRun, RunError, RunInput, RunReport, RunStart};
use cartwright_engine::observe::JobRun;

use crate::host::Cartwright;
use crate::shop::context;

impl Cartwright {
    /// Runs a job from its beginning, with results from its journal where they exist. Dropping the future is equivalent
    /// to a crash, and is safe.
    ///
    /// # Errors
    ///
    /// If the run could not start or its journal could not be written. Run the job again later; what was recorded
    /// stays.
    pub async fn run_job(&self, job: &Job, start: RunInput) -> Result<RunReport, RunError> {
        let run = self.run_once(job, start).await;
        if let Some(observer) = &self.platform().observer {
            let plugin = self.plugin(&job.plugin);
            let plugin = plugin.as_ref().map(|plugin| plugin.id());
            let end = run.as_ref().map_or("lost", |run| run.end.name());
            observer.job_run_ended(&JobRun { plugin, shop: &job.shop, account: &job.account, end });
        }
        run
    }

    async fn run_once(&self, job: &Job, start: RunInput) -> Result<RunReport, RunError> {
        let state = self.shop_state(&job.shop)?;
        let account = state.account(&job.account)?;
        let digest = self.replacement(&job.plugin).map_err(|_| SetupError::Revoked(job.plugin))?;
        let plugin = self.plugin(&digest).ok_or(SetupError::UnknownPlugin(digest))?;
        let granted = account.grants.limited_to(&plugin.metadata().identity.grants);
        let mut run = OpenRun::load(start).await?;
        let began = match run.started() {
            Some(began) => began.clone(),
            None => {
                let version = account.versions.get(&digest).ok_or(SetupError::UnknownPlugin(digest))?;
                let (visitor, currency) = visitor_of(&job.event.order);
                let mut context = context(&state.shop, account, version, None, Some((&visitor, &currency)));
                context.now = timestamp(run.now());
                let began = RunStart { context, personal_data: granted.personal_data };
                run.begin(began.clone()).await?;
                began
            }
        };
        let mut event = job.event.clone();
        let personal_data = began.personal_data && granted.personal_data;
        if !personal_data {
            event.order.remove_personal_data();
        }
        let blobs = run.blobs().unwrap_or_else(|| self.platform().blobs.clone());
        let settings = &began.context.settings;
        let scope = self.scope_of(&state.shop, account, &plugin, settings, personal_data, blobs);
        Ok(self.engine().handle(&plugin, scope, run, job, &began.context, event).await?)
    }
}

/// Returns what an order tells about its shopper: the currency that it was placed in, and where it goes.
fn visitor_of(order: &Order) -> (Visitor, Currency) {
    let Order { currency, total, delivery, .. } = order;
    let visitor = Visitor {
        currency: Some(currency.clone()),
        country: delivery.as_ref().map(|delivery| delivery.country.clone()),
        region: delivery.as_ref().and_then(|delivery| delivery.region.clone()),
        ..Visitor::default()
    };
    (visitor, Currency { code: currency.clone(), scale: total.scale })
}
