//! The calls of the vendor's code, and the payload that is made of their results.

use std::collections::BTreeSet;

use cartwright_contract::records::{Completion, Mount, PageCall, PageEvent, Receiver};
use cartwright_contract::text::{MAX_DATA_BYTES, MAX_NAME_BYTES};

use super::placeholders::{check_arguments, check_value};
use super::{Fault, PROTOTYPE_NAMES, check_count, malformed};

/// Maximum number of paths of one call.
const MAX_PATHS: usize = 20;
/// The meaning that ends a call, or a configuration.
const COMPLETED: &str = "completed";
/// The only function of a frame's element that a page calls. Other paths lead from the element to the shop's own page.
const POST_MESSAGE: &str = "contentWindow.postMessage";

/// What calls may refer to.
pub(super) struct Calls<'a> {
    pub(super) mounts: &'a [Mount],
    pub(super) events: &'a [PageEvent],
    pub(super) has_frame: bool,
}

impl Calls<'_> {
    /// Checks the calls of embed data, and its payload.
    pub(super) fn check(
        &self,
        supported: Option<&PageCall>,
        start: Option<&PageCall>,
        save: Option<&PageCall>,
        payload: &str,
    ) -> Result<(), Fault> {
        let mut meanings: BTreeSet<String> = self.events.iter().map(|event| event.meaning.clone()).collect();
        let can_complete = meanings.contains(COMPLETED);
        for (member, call) in [("supported", supported), ("start", start), ("save", save)] {
            let Some(call) = call else { continue };
            // Only the result of `start` takes the place of the frame's element.
            let is_frame = self.has_frame && (member != "save" || start.is_none());
            let callbacks = self.check_call(member, call, is_frame)?;
            if call.completion == Completion::Callback && !can_complete && !callbacks.contains(COMPLETED) {
                let text = "neither a \"$callback\" of its arguments nor an event has the meaning \"completed\"";
                return Err(malformed(format!("{member}.completion"), text));
            }
            meanings.extend(callbacks);
        }
        if save.is_none() && !can_complete {
            return Err(malformed("save", "without it, an event must have the meaning \"completed\""));
        }
        check_payload(payload, &meanings)
    }

    /// Checks a call, and returns the meanings of its callbacks.
    fn check_call(&self, member: &str, call: &PageCall, is_frame: bool) -> Result<BTreeSet<String>, Fault> {
        let PageCall { receiver, paths, construct: _, completion: _, args } = call;
        if paths.is_empty() {
            return Err(malformed(format!("{member}.paths"), "it is empty"));
        }
        check_count(&format!("{member}.paths"), paths.len(), MAX_PATHS)?;
        for (index, path) in paths.iter().enumerate() {
            let fault = |text: String| malformed(format!("{member}.paths[{index}]"), text);
            check_path(path).map_err(fault)?;
            if is_frame && *receiver == Receiver::Configurator && path != POST_MESSAGE {
                return Err(fault(format!("of a frame's element, only {POST_MESSAGE:?} is called")));
            }
        }
        let mut callbacks = BTreeSet::new();
        let mut on_placeholder = |name: &str, value: Option<&str>| match (name, value) {
            ("$element", Some(role)) if self.mounts.iter().any(|mount| mount.role == role) => Ok(()),
            ("$element", Some(role)) => Err(format!("no mount has the role {role:?}")),
            ("$callback", Some(meaning)) if !meaning.is_empty() => {
                callbacks.insert(meaning.to_owned());
                Ok(())
            }
            ("$element" | "$callback", _) => Err(format!("the value of {name:?} is not a name")),
            _ => Err(format!("{name:?} is not a placeholder; put data into a \"$literal\"")),
        };
        check_arguments(args, &mut on_placeholder).map_err(|text| malformed(format!("{member}.args"), text))?;
        Ok(callbacks)
    }
}

/// Checks a dotted path of identifiers.
fn check_path(path: &str) -> Result<(), String> {
    if path.len() > MAX_NAME_BYTES || !path.split('.').all(is_identifier) {
        return Err(format!("{path:?} is not a dotted path of identifiers"));
    }
    check_names(path)
}

fn is_identifier(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'$';
    name.bytes().next().is_some_and(is_letter) && name.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit())
}

/// Checks that a dotted path does not lead over an object's prototype.
fn check_names(path: &str) -> Result<(), String> {
    match path.split('.').find(|name| PROTOTYPE_NAMES.contains(name)) {
        Some(name) => Err(format!("the segment {name:?} is refused")),
        None => Ok(()),
    }
}

fn check_payload(payload: &str, meanings: &BTreeSet<String>) -> Result<(), Fault> {
    let fault = |text: String| malformed("payload", text);
    if payload.len() > MAX_DATA_BYTES {
        return Err(fault(format!("it has {} bytes; at most {MAX_DATA_BYTES} are allowed", payload.len())));
    }
    let mut on_placeholder = |name: &str, value: Option<&str>| match (name, value) {
        ("$result", Some(path)) => check_names(path),
        ("$event", Some(meaning)) if meanings.contains(meaning) => Ok(()),
        ("$event", Some(meaning)) => Err(format!("no event and no callback has the meaning {meaning:?}")),
        ("$result" | "$event", _) => Err(format!("the value of {name:?} is not a text")),
        _ => Err(format!("{name:?} is not a placeholder of a payload")),
    };
    check_value(payload, &mut on_placeholder).map_err(fault)
}
