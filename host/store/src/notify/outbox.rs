//! Writes notifications, in the transaction of their cause.

use cartwright::timestamp;
use serde_json::{Value, json};
use sqlx::AnyConnection;

use crate::database::system_time;
use crate::error::StoreError;
use crate::facades::Notifications;
use crate::job::JobStateKind;
use crate::vault::random;

/// Outcomes that a plugin addresses to itself, which do not concern the platform.
const INTERNAL_KINDS: [&str; 2] = ["forward", "set-memo"];

/// The subject of a notification. Those of one subject arrive in sequence.
pub(crate) enum Subject<'a> {
    /// An order, by the platform's id.
    Order(&'a str),
    /// An account, by its id.
    Account(&'a str),
}

impl Notifications<'_> {
    /// Creates a notification that `what` happened, if the shop has an endpoint. It contains ids, and whom a document is
    /// for.
    pub(crate) async fn notify_in(
        self,
        work: &mut AnyConnection,
        shop: &str,
        subject: Subject<'_>,
        (what, data): (&str, Value),
        now: i64,
    ) -> Result<(), StoreError> {
        if what.split_once('.').is_some_and(|(_, kind)| INTERNAL_KINDS.contains(&kind)) {
            return Ok(());
        }
        let subject = match subject {
            Subject::Order(id) => format!("order {id}"),
            Subject::Account(id) => format!("account {id}"),
        };
        let body = json!({ "type": what, "timestamp": timestamp(system_time(now)), "data": data });
        sqlx::query(
            "insert into notifications (message, shop, subject, body, state, attempt, due_at, created_at)
             select $1, shop, $3, $4, 'waiting', 0, $5, $5 from notification_endpoints where shop = $2",
        )
        .bind(format!("msg_{}", hex::encode(random::<16>()?)))
        .bind(shop)
        .bind(subject)
        .bind(body.to_string())
        .bind(now)
        .execute(work)
        .await?;
        Ok(())
    }

    /// Creates a notification of a job's new state, if it is one that a person or the platform waits for.
    pub(crate) async fn notify_job(
        self,
        work: &mut AnyConnection,
        id: &str,
        state: JobStateKind,
        now: i64,
    ) -> Result<(), StoreError> {
        match state {
            JobStateKind::Done | JobStateKind::Stopped | JobStateKind::NeedsMerchant | JobStateKind::Cancelled => {}
            _ => return Ok(()),
        }
        let (shop, order, account, event): (String, String, String, String) = sqlx::query_as(
            "select j.shop, l.order_id, l.account, j.event from jobs j join job_lanes l on l.id = j.lane_id where j.id = $1",
        )
        .bind(id)
        .fetch_one(&mut *work)
        .await?;
        let data = json!({ "shop": shop, "order": order, "account": account, "job": id, "event": event });
        self.notify_in(work, &shop, Subject::Order(&order), (&format!("job.{}", state.name()), data), now).await
    }
}
