//! Installation: from bytes to a plugin that can be called. Compiled once, on one background thread, and kept in a cache.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cap_std::fs::Dir;
use wasmtime::component::Component;

use crate::contract::{Endpoint, Field};
use crate::guest::{CallOptions, call};
use crate::hook::Hook;
use crate::host::Cartwright;
use crate::ids::{Digest, PluginId};
use crate::platform::write;
use crate::plugin::{About, InstallError, Plugin, wrong_shape};
use crate::settings::Form;
use crate::webhook::check_authentication;

/// The largest component: a Python guest has 18 MB.
const MOST_BYTES: usize = 64 << 20;
/// The locale that a plugin's form is read in at installation.
pub(crate) const ENGLISH: &str = "en";

impl Cartwright {
    /// Installs a component. The same bytes again give the same plugin. `pinned` refuses any other digest.
    ///
    /// # Errors
    /// Says in plain words what is wrong with the component and what to change; nothing is installed then.
    pub async fn install(&self, bytes: &[u8], pinned: Option<Digest>) -> Result<Arc<Plugin>, InstallError> {
        if bytes.is_empty() {
            return Err(InstallError::Empty);
        }
        if bytes.len() > MOST_BYTES {
            return Err(InstallError::TooLarge { bytes: bytes.len(), allowed: MOST_BYTES });
        }
        match bytes {
            [0, b'a', b's', b'm', _, _, 0, _, ..] => return Err(InstallError::CoreModule),
            [0, b'a', b's', b'm', ..] => {}
            _ => return Err(InstallError::NotWasm),
        }
        let digest = Digest::of(bytes);
        if let Some(pinned) = pinned.filter(|pinned| *pinned != digest) {
            return Err(InstallError::NotPinned { found: digest, pinned });
        }
        if let Some(plugin) = self.plugin(&digest) {
            return Ok(plugin);
        }
        let component = self.component(bytes, digest).await?;
        let (limits, slots) = (self.limits().clone(), self.slots().clone());
        let observer = self.platform().observer.clone();
        let linked = Plugin::link(digest, bytes.len(), &component, self.linker(), limits, slots, observer)?;
        let plugin = self.describe(Arc::new(linked)).await?;
        Ok(write(self.plugins()).entry(digest).or_insert(plugin).clone())
    }

    /// Installs a file of a folder.
    ///
    /// # Errors
    /// As [`install`](Self::install), and when the file cannot be read.
    pub async fn install_file(&self, folder: &Dir, path: &Path) -> Result<Arc<Plugin>, InstallError> {
        let bytes = folder
            .read(path)
            .map_err(|error| InstallError::Unreadable(format!("{} cannot be read: {error}", path.display())))?;
        self.install(&bytes, None).await
    }

    /// Installs every `.wasm` file of a folder, each with its own result, in the order of their names.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub async fn install_folder(
        &self,
        folder: &Dir,
    ) -> Result<Vec<(String, Result<Arc<Plugin>, InstallError>)>, InstallError> {
        let unreadable =
            |error: std::io::Error| InstallError::Unreadable(format!("the folder cannot be read: {error}"));
        let mut names = Vec::new();
        for entry in folder.entries().map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".wasm") {
                names.push(name);
            }
        }
        names.sort();
        let mut installed = Vec::new();
        for name in names {
            let result = self.install_file(folder, Path::new(&name)).await;
            installed.push((name, result));
        }
        Ok(installed)
    }

    async fn component(&self, bytes: &[u8], digest: Digest) -> Result<Component, InstallError> {
        let name = self.cache_name(digest);
        if let Some(component) = self.cached(&name) {
            return Ok(component);
        }
        let one_at_a_time = self.compiling().lock().await;
        if let Some(component) = self.cached(&name) {
            return Ok(component);
        }
        let (engine, bytes) = (self.engine().clone(), bytes.to_vec());
        let compiled = tokio::task::spawn_blocking(move || Component::from_binary(&engine, &bytes)).await;
        let component = compiled
            .map_err(|error| InstallError::Malformed(error.to_string()))?
            .map_err(|error| InstallError::Malformed(format!("{error:#}")))?;
        if let Some(cache) = self.cache()
            && let Err(error) = keep(cache, &name, &component)
        {
            tracing::warn!(%error, "the compiled component is not kept");
        }
        drop(one_at_a_time);
        Ok(component)
    }

    fn cached(&self, name: &str) -> Option<Component> {
        let file = self.cache()?.open(name).ok()?;
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut file.into_std(), &mut bytes).ok()?;
        // SAFETY: `deserialize` trusts its input. The cache is a folder that only this host writes, under names made of the
        // component's digest and the engine's settings; wasmtime refuses what another engine compiled.
        #[allow(unsafe_code)]
        let loaded = unsafe { Component::deserialize(self.engine(), &bytes) };
        loaded.inspect_err(|error| tracing::warn!(%error, name, "a cached component is compiled again")).ok()
    }

    /// Asks the plugin who it is, in a sandbox where every import is denied.
    async fn describe(&self, plugin: Arc<Plugin>) -> Result<Arc<Plugin>, InstallError> {
        let interfaces = plugin.interfaces().clone();
        let options = CallOptions::new(Hook::Describe, None);
        let ((identity, fields, endpoints), _) = call(self.ticker(), &plugin, options, async |store, instance| {
            if let Err(error) = interfaces.check(store, instance) {
                return Ok((Err(wrong_shape(&error)), Vec::new(), Vec::new()));
            }
            let identity = interfaces.plugin(store, instance)?.call_describe(&mut *store).await?;
            let fields = interfaces.settings(store, instance)?.call_fields(&mut *store, ENGLISH).await?;
            let endpoints = match interfaces.webhooks(store, instance) {
                Ok(webhooks) => webhooks.call_endpoints(&mut *store).await?,
                Err(_) => Vec::new(),
            };
            Ok((Ok(identity), fields, endpoints))
        })
        .await
        .map_err(InstallError::Describe)?;
        let identity = identity?;
        let (id, form) = (check_identity(&identity, &fields)?, check_form(fields)?);
        check_endpoints(&endpoints, &form).map_err(InstallError::Identity)?;
        let about = About { id, form, identity, endpoints };
        Ok(plugin.described(about))
    }

    fn cache_name(&self, digest: Digest) -> String {
        use std::hash::{Hash, Hasher};
        let mut hasher = std::hash::DefaultHasher::new();
        self.engine().precompile_compatibility_hash().hash(&mut hasher);
        format!("{digest}-{:016x}-{}.cwasm", hasher.finish(), std::env::consts::ARCH)
    }
}

/// Written whole or not at all: a reader never sees half a file.
fn keep(cache: &Dir, name: &str, component: &Component) -> anyhow::Result<()> {
    let bytes = component.serialize().map_err(|error| anyhow::anyhow!("{error:#}"))?;
    // Hosts of one process, and processes of one machine, may write the same component at the same time.
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let unfinished = format!("{name}.{}-{}", std::process::id(), WRITTEN.fetch_add(1, Ordering::Relaxed));
    let mut file = cache.create(&unfinished)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    cache.rename(&unfinished, cache, name)?;
    Ok(())
}

fn check_form(fields: Vec<Field>) -> Result<Form, InstallError> {
    Form::check(fields).map_err(InstallError::Identity)
}

/// Each endpoint has a name of its own, and its requests can be told to be the vendor's.
fn check_endpoints(endpoints: &[Endpoint], form: &Form) -> Result<(), String> {
    let mut names = std::collections::BTreeSet::new();
    for Endpoint { name, authentication, event_id_header, .. } in endpoints {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return Err(format!("{name:?} is no webhook's name; use a-z, 0-9 and \"-\""));
        }
        if !names.insert(name) {
            return Err(format!("the webhook {name:?} stands twice"));
        }
        check_authentication(authentication, form).map_err(|fault| format!("the webhook {name:?}: {fault}"))?;
        if let Some(header) = event_id_header
            && header.parse::<http::HeaderName>().is_err()
        {
            return Err(format!("the webhook {name:?}: {header:?} is no header name"));
        }
    }
    Ok(())
}

fn check_identity(identity: &crate::contract::Identity, fields: &[Field]) -> Result<PluginId, InstallError> {
    let unusable = |text: String| Err(InstallError::Identity(text));
    let id: PluginId = identity.id.parse()?;
    if let Err(error) = semver::Version::parse(&identity.version) {
        return unusable(format!(
            "the version {:?} is not of the form \"1.2.3\" of semantic versioning: {error}",
            identity.version
        ));
    }
    for field in fields {
        if let Some(host) = field.hosts.iter().find(|host| !identity.hosts.contains(host)) {
            let name = &field.name;
            return unusable(format!("the field {name:?} may be sent to {host:?}, which identity.hosts does not list"));
        }
    }
    let all = fields.iter().flat_map(|field| &field.hosts).chain(&identity.hosts);
    for host in all {
        match host.strip_prefix("setting:") {
            Some(name) if fields.iter().any(|field| field.name == name && field.kind == "url") => {}
            Some(name) => {
                return unusable(format!("the host {host:?} names {name:?}, which is no url field of the form"));
            }
            None if !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte)) => {}
            None => return unusable(format!("{host:?} is no host name")),
        }
    }
    let mut names = std::collections::BTreeSet::new();
    for strategy in &identity.strategies {
        if strategy.name.is_empty() || !names.insert(&strategy.name) {
            return unusable(format!("the strategy {:?} has no name, or stands twice", strategy.name));
        }
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Authentication, Purpose, WebhookHmac};
    use crate::settings::testing::field;

    fn form() -> Form {
        Form(vec![field("signing-secret", "secret"), field("name", "text")])
    }

    fn endpoint(change: impl FnOnce(&mut Endpoint, &mut WebhookHmac)) -> Endpoint {
        let mut hmac = WebhookHmac {
            secret: "signing-secret".to_owned(),
            header: "X-Signature".to_owned(),
            encoding: "hex".to_owned(),
            prefix: String::new(),
            timestamp_header: None,
        };
        let mut endpoint = Endpoint {
            name: "done".to_owned(),
            title: "Done".to_owned(),
            purpose: Purpose::Notice,
            authentication: Authentication::AddressOnly,
            event_id_header: None,
        };
        change(&mut endpoint, &mut hmac);
        endpoint.authentication = Authentication::HmacSha256(hmac);
        endpoint
    }

    #[test]
    fn a_version_is_one_of_semantic_versioning() {
        let identity = |version: &str| crate::contract::Identity {
            id: "plugin".to_owned(),
            name: "Plugin".to_owned(),
            version: version.to_owned(),
            vendor: "Cartwright's tests".to_owned(),
            hosts: Vec::new(),
            strategies: Vec::new(),
            capabilities: Vec::new(),
            grants: Vec::new(),
            extra: Vec::new(),
        };
        for version in ["1.2.3", "0.0.0", "1.2.3-rc.1", "1.2.3-rc.1+build.07", "1.2.3+01"] {
            assert!(check_identity(&identity(version), &[]).is_ok(), "{version}");
        }
        for version in
            ["1.02.0", "01.2.0", "1.2", "1.2.3.4", "1.2.3-01", "1.2.3-", "v1.2.3", "1.2.x", "", " 1.2.3", "+1.2.3"]
        {
            let refused = check_identity(&identity(version), &[]).unwrap_err().to_string();
            assert!(refused.contains("1.2.3") && refused.contains("semantic versioning"), "{version}: {refused}");
        }
    }

    #[test]
    fn an_endpoint_whose_requests_could_never_be_told_is_not_installed() {
        assert_eq!(check_endpoints(&[endpoint(|_, _| ())], &form()), Ok(()));
        let cases: [(Endpoint, &str); 7] = [
            (endpoint(|_, hmac| hmac.secret = "name".to_owned()), "no secret field"),
            (endpoint(|_, hmac| hmac.secret = "none".to_owned()), "no secret field"),
            (endpoint(|_, hmac| hmac.encoding = "base32".to_owned()), "\"base32\""),
            (endpoint(|_, hmac| hmac.header = "X Signature".to_owned()), "no header name"),
            (endpoint(|_, hmac| hmac.timestamp_header = Some(String::new())), "no header name"),
            (endpoint(|endpoint, _| endpoint.event_id_header = Some("a:b".to_owned())), "no header name"),
            (endpoint(|endpoint, _| endpoint.name = "Done".to_owned()), "no webhook's name"),
        ];
        for (endpoint, fault) in cases {
            let refused = check_endpoints(&[endpoint], &form()).unwrap_err();
            assert!(refused.contains(fault), "{refused}");
        }
        let twice = [endpoint(|_, _| ()), endpoint(|_, _| ())];
        assert!(check_endpoints(&twice, &form()).unwrap_err().contains("twice"));
    }
}
