//! The connection test. Twikit documents no call without effects: creating an order and fetching a production file both
//! start something. So the test checks the settings and the hash, and its result states that Twikit itself was not
//! called.

use cartwright_plugin::exports::account::{Diagnosis, Verdict};
use cartwright_plugin::types::{Context, Message};
use cartwright_plugin::{CallError, ContextExt, message};

use crate::fields::PAYLOAD_SECRET;
use crate::settings::{Settings, validate};

/// Returns the results of the test. `digest` hashes a text with the payload secret, and is only called if the secret is
/// set.
pub fn diagnoses(context: &Context, digest: impl FnOnce(&[u8]) -> Result<Vec<u8>, CallError>) -> Vec<Diagnosis> {
    let settings = Settings(context);
    let mut problems: Vec<Message> =
        validate(context).into_iter().filter(|issue| issue.blocking).map(|issue| issue.message).collect();
    let required = [settings.integration_id().err(), settings.api_url().err(), settings.script().err()];
    for error in required.into_iter().flatten() {
        if let CallError::NotConfigured(issue) = error
            && !problems.contains(&issue.message)
        {
            problems.push(issue.message);
        }
    }
    let form = Diagnosis {
        check: message("check-settings", "The settings are complete and consistent", &[]),
        verdict: if problems.is_empty() { Verdict::Passed } else { Verdict::Failed },
        detail: problems.into_iter().next(),
    };
    let secret_is_set = context.secret_is_set(PAYLOAD_SECRET);
    let secret = Diagnosis {
        check: message("check-secret", "The payload secret is set", &[]),
        verdict: if secret_is_set { Verdict::Passed } else { Verdict::Failed },
        detail: (!secret_is_set).then(|| {
            message("secret-missing", "Copy the payload secret from your site's configuration in the publisher.", &[])
        }),
    };
    let hashed = if secret_is_set { Some(digest(b"connection test")) } else { None };
    let hash = Diagnosis {
        check: message("check-hash", "A payload can be hashed with the secret", &[]),
        // An MD5 digest has 16 bytes (RFC 1321).
        verdict: match &hashed {
            Some(Ok(digest)) if digest.len() == 16 => Verdict::Passed,
            Some(_) => Verdict::Failed,
            None => Verdict::NotTried,
        },
        detail: match hashed {
            Some(Ok(digest)) if digest.len() == 16 => None,
            Some(Ok(_)) => Some(message("hash-failed", "The host returned a digest of another length.", &[])),
            Some(Err(error)) => {
                Some(message("hash-failed", format!("The host rejected it: {}.", error_text(&error)), &[]))
            }
            None => Some(message("hash-not-tried", "The secret is not set.", &[])),
        },
    };
    let text = "Every call that Twikit documents starts production. Whether the integration id and the secret are \
                the right ones shows with the first order.";
    let connection = Diagnosis {
        check: message("check-connection", "Twikit answers", &[]),
        verdict: Verdict::NotTried,
        detail: Some(message("connection-not-tried", text, &[])),
    };
    vec![form, secret, hash, connection]
}

fn error_text(error: &CallError) -> String {
    match error {
        CallError::InvalidInput(issue) | CallError::NotConfigured(issue) => issue.message.text.clone(),
        CallError::Unavailable(outage) => outage.detail.clone(),
        CallError::Rejected(message) => message.text.clone(),
        CallError::Denied(refusal) | CallError::LimitExceeded(refusal) => refusal.text.clone(),
        CallError::Internal(text) => text.clone(),
        CallError::Other(named) => format!("{}: {}", named.name, named.json),
    }
}

#[cfg(test)]
mod tests {
    use cartwright_plugin::types::Refusal;

    use super::Verdict::{Failed, NotTried, Passed};
    use super::*;
    use crate::fields::{INTEGRATION_ID, SCRIPT_URL};
    use crate::testing::{context, context_with};

    fn verdicts(diagnoses: &[Diagnosis]) -> Vec<Verdict> {
        diagnoses.iter().map(|diagnosis| diagnosis.verdict).collect()
    }

    #[test]
    fn a_complete_account_passes_and_says_that_twikit_was_not_asked() {
        let diagnoses = diagnoses(&context(), |_| Ok(vec![0; 16]));
        assert_eq!(verdicts(&diagnoses), [Passed, Passed, Passed, NotTried]);
        assert!(diagnoses[3].detail.as_ref().is_some_and(|detail| detail.key == "connection-not-tried"));
    }

    #[test]
    fn a_missing_secret_is_named_and_nothing_is_hashed() {
        let mut context = context();
        context.settings.retain(|setting| setting.name != PAYLOAD_SECRET);
        let diagnoses = diagnoses(&context, |_| unreachable!("there is no secret"));
        assert_eq!(verdicts(&diagnoses), [Passed, Failed, NotTried, NotTried]);
    }

    #[test]
    fn missing_and_wrong_settings_do_not_pass() {
        for (name, value) in [(INTEGRATION_ID, ""), (SCRIPT_URL, "http://cdn.example/a.js")] {
            let diagnoses = diagnoses(&context_with(&[(name, value)]), |_| Ok(vec![0; 16]));
            assert_eq!(verdicts(&diagnoses), [Failed, Passed, Passed, NotTried], "{name}");
        }
    }

    fn refusal() -> Refusal {
        Refusal { what: "capability:secrets".to_owned(), text: "secrets is not available".to_owned() }
    }

    #[test]
    fn a_refused_digest_says_why() {
        let diagnoses = diagnoses(&context(), |_| Err(CallError::Denied(refusal())));
        assert_eq!(diagnoses[2].verdict, Failed);
        assert!(diagnoses[2].detail.as_ref().is_some_and(|detail| detail.text.contains("secrets")));
    }
}
