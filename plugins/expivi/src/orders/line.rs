//! Prepares one order line: bill of materials, upload, requests for print files.

use std::collections::BTreeMap;

use cartwright_plugin::types::{LineBillOfMaterials, Memo, OrderLine, Outcome, VendorReference};
use cartwright_plugin::{CallError, ContextExt, message};

use super::upload::{Uploads, root_index};
use super::{PendingConversion, Run};
use crate::host::Host;
use crate::saved::{self, Saved};
use crate::settings::{self, SERVER_TOKEN};

/// Maximum number of print files of one line.
const MAX_FILES: usize = 20;
/// Maximum length of a memo in bytes, as the contract defines it.
const MAX_MEMO_BYTES: usize = 4096;

/// Unwraps a result. An error of this line is reported to the merchant, and the other lines continue.
macro_rules! or_merchant {
    ($run:expr, $line:expr, $result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return $run.line_failed($line, error),
        }
    };
}

impl<H: Host> Run<'_, H> {
    /// Does all work for a line that needs no waiting.
    #[allow(clippy::indexing_slicing, reason = "the root and its descendants are positions of the products")]
    pub(super) fn prepare(
        &mut self,
        line: &OrderLine,
        uploads: &mut Uploads,
        pending: &mut Vec<PendingConversion>,
    ) -> Result<(), CallError> {
        self.confirm_bill_of_materials(line)?;
        let uploads_on =
            settings::is_enabled(self.context, "upload-bundles") && self.context.secret_is_set(SERVER_TOKEN);
        let mut prints = settings::is_enabled(self.context, "print-files") && !self.has_print_file(line);
        if prints && let Some(hashes) = self.requested_conversions(&line.id) {
            // An earlier event of the order requested them, and may have been stopped since.
            let again = hashes.split(' ').map(str::to_owned);
            pending.extend(again.map(|hash| PendingConversion { line: line.id.clone(), hash, polls: 0 }));
            prints = false;
        }
        let Some(digest) = line.configuration.as_deref().filter(|_| uploads_on) else { return Ok(()) };
        if line.vendor_reference.is_some() && !prints {
            return Ok(());
        }
        self.calls += 1;
        let raw = self.host.read(digest)?;
        let key_fields = settings::key_fields(self.context);
        let saved = or_merchant!(self, line, saved::read(&raw, &key_fields));
        let Some(root) = root_index(&saved, line) else {
            let text = format!("It is unclear which configured product the line {} stands for.", line.id);
            return self.needs_merchant(message("line-ambiguous", text, &[("line", &line.id)]));
        };
        let Some(uuid) = saved.products[root].uuid.as_str() else {
            let text =
                format!("The configuration of the line {} cannot be uploaded: it has no uuid from Expivi.", line.id);
            let message = message("uuid-missing", text, &[("line", &line.id)]);
            return if prints { self.needs_merchant(message) } else { self.note(message) };
        };
        let ids = or_merchant!(self, line, uploads.get(self, digest, &raw));
        let Some(id) = ids.get(uuid) else {
            let text = format!(
                "Expivi's response to the upload lacks the configured product {uuid}: {}",
                ids.response_excerpt()
            );
            return self.needs_merchant(message("upload-unanswered", text, &[("line", &line.id), ("uuid", uuid)]));
        };
        if line.vendor_reference.as_deref() != Some(id) {
            let reference = VendorReference { line: Some(line.id.clone()), reference: id.to_owned() };
            self.emit(Outcome::VendorReference(reference))?;
        }
        if !prints {
            return Ok(());
        }
        let (mut requested, before) = (0, pending.len());
        for place in descendants(&saved, root) {
            let product = &saved.products[place];
            let media = self.media_id(product.catalogue_id.0);
            let id = product.uuid.as_str().and_then(|uuid| ids.get(uuid));
            let (Some(media), Some(id)) = (media, id) else { continue };
            if requested == MAX_FILES {
                let text =
                    format!("The line {} has more than {MAX_FILES} print files; fetch the others at Expivi.", line.id);
                return self.needs_merchant(message("print-files-too-many", text, &[("line", &line.id)]));
            }
            requested += 1;
            self.request_files(line, id, media, pending)?;
        }
        let hashes: Vec<&str> = pending.iter().skip(before).map(|conversion| conversion.hash.as_str()).collect();
        if !hashes.is_empty() {
            self.remember_requested_conversions(&line.id, &hashes.join(" "))?;
        }
        if requested == 0 {
            let product = saved.products[root].catalogue_id.to_string();
            let text = format!(
                "There is no print file for the line {}: no media id is set for the product {product}.",
                line.id
            );
            self.needs_merchant(message("media-id-missing", text, &[("line", &line.id), ("product", &product)]))?;
        }
        Ok(())
    }

    fn confirm_bill_of_materials(&mut self, line: &OrderLine) -> Result<(), CallError> {
        let is_confirmed =
            |outcome: &Outcome| matches!(outcome, Outcome::BillOfMaterials(bill) if bill.line == line.id);
        if self.earlier(is_confirmed) {
            return Ok(());
        }
        self.calls += 1;
        let articles = self.host.bill_of_materials(&line.reference)?;
        if articles.is_empty() {
            return Ok(());
        }
        self.emit(Outcome::BillOfMaterials(LineBillOfMaterials { line: line.id.clone(), articles }))
    }

    fn has_print_file(&self, line: &OrderLine) -> bool {
        self.earlier(|outcome| {
            matches!(outcome, Outcome::Document(file) if file.kind == "print-file" && file.line.as_ref() == Some(&line.id))
        })
    }

    /// Returns the conversions that were already requested for this line.
    fn requested_conversions(&self, line: &str) -> Option<&str> {
        let name = conversions_of(line);
        let known = self.event.memos.iter().find(|known| known.name == name)?;
        Some(known.value.as_str()).filter(|hashes| !hashes.is_empty())
    }

    /// Stores the conversions of a line as a memo. If they are too long for one, the line's next event requests them
    /// again.
    pub(super) fn remember_requested_conversions(&mut self, line: &str, hashes: &str) -> Result<(), CallError> {
        if hashes.len() > MAX_MEMO_BYTES {
            return Ok(());
        }
        let value = hashes.to_owned();
        self.emit(Outcome::SetMemo(Memo { name: conversions_of(line), value }))
    }

    fn media_id(&self, catalogue_id: u64) -> Option<u64> {
        let product = catalogue_id.to_string();
        let listed = self.context.pairs("media-ids").iter().find(|(name, _)| *name == product);
        match listed {
            Some((_, media)) => media.parse().ok(),
            None => self.context.integer("media-id").and_then(|media| u64::try_from(media).ok()),
        }
    }

    /// Reports an error of this line to the merchant, or returns an error that concerns every line.
    pub(super) fn line_failed(&mut self, line: &OrderLine, error: CallError) -> Result<(), CallError> {
        let why = match error {
            CallError::Rejected(message) => message,
            CallError::InvalidInput(issue) => issue.message,
            error => return Err(error),
        };
        let text = format!("The line {} was not transferred to Expivi. {}", line.id, why.text);
        self.needs_merchant(message("line-failed", text, &[("line", &line.id), ("reason", &why.key)]))
    }
}

/// Returns the name of the memo with a line's conversions.
fn conversions_of(line: &str) -> String {
    format!("conversions:{line}")
}

/// Returns a root and its descendants without replicas, whose files would equal those of their originals.
#[allow(clippy::indexing_slicing, reason = "the root and the children are positions of the products")]
fn descendants(saved: &Saved<'_>, root: usize) -> Vec<usize> {
    let products = &saved.products;
    let mut children: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, product) in products.iter().enumerate() {
        if let Some(parent) = product.parent_uuid.as_str() {
            children.entry(parent).or_default().push(place);
        }
    }
    let mut found = vec![root];
    let mut at = 0;
    while let Some(place) = found.get(at).copied() {
        at += 1;
        // Removed from the map, so that a cycle of parents ends.
        found.extend(products[place].uuid.as_str().and_then(|uuid| children.remove(uuid)).unwrap_or_default());
    }
    found.retain(|place| *place == root || !products[*place].is_replica());
    found
}
