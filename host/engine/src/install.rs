//! Installation of plugins. A component is compiled once, on one background thread, and cached.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cap_std::fs::Dir;
use cartwright_contract::extras::Extras as _;
use cartwright_contract::hook::Hook;
use cartwright_contract::ids::{Digest, PluginId};
use cartwright_contract::metadata::{check_metadata, check_repeatable};
use cartwright_contract::records::{self, ChoiceSource, Field};
use cartwright_contract::settings::Form;
use wasmtime::component::Component;

use crate::bindings::convert_list;
use crate::engine::Engine;
use crate::observe::HookResult;
use crate::options::CallOptions;
use crate::plugin::{InstallError, Interface, PluginMetadata, PluginVersion, type_mismatch};

/// Maximum size of a component in bytes. A Python guest has 18 MB.
const MAX_COMPONENT_BYTES: usize = 64 << 20;
/// Locale in which a plugin's form is read at installation.
const FORM_LOCALE: &str = "en";
/// How far the clock is ahead, and which random numbers there are, when `metadata.describe` is called again: every part
/// of the date and the time differs.
const SECOND_CLOCK_AHEAD: Duration = Duration::from_secs(399 * 86_400 + 5 * 3_600 + 7 * 60 + 11);
const SECOND_SEED: [u8; 32] = [0xa5; 32];

/// The bytes of a component, not compiled yet.
#[derive(Clone, Copy)]
pub struct ComponentBytes<'a> {
    bytes: &'a [u8],
    digest: Digest,
}

impl<'a> ComponentBytes<'a> {
    /// Checks the size, the header and the digest of a component. `pinned` refuses any other digest.
    ///
    /// # Errors
    /// The error says what is wrong with the bytes and what to change.
    pub fn check(bytes: &'a [u8], pinned: Option<Digest>) -> Result<Self, InstallError> {
        if bytes.is_empty() {
            return Err(InstallError::Empty);
        }
        if bytes.len() > MAX_COMPONENT_BYTES {
            return Err(InstallError::TooLarge { bytes: bytes.len(), allowed: MAX_COMPONENT_BYTES });
        }
        match bytes {
            [0, b'a', b's', b'm', _, _, 0, _, ..] => return Err(InstallError::CoreModule),
            [0, b'a', b's', b'm', ..] => {}
            _ => return Err(InstallError::NotWebAssembly),
        }
        let digest = Digest::of(bytes);
        if let Some(pinned) = pinned.filter(|pinned| *pinned != digest) {
            return Err(InstallError::NotPinned { found: digest, pinned });
        }
        Ok(Self { bytes, digest })
    }

    /// Returns the digest, which names this version of the plugin.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// `metadata.describe`: the export errors of a component are reported elsewhere.
impl HookResult for Result<records::PluginMetadata, InstallError> {
    fn error(&self) -> Option<&records::CallError> {
        None
    }
}

impl Engine {
    /// Compiles a component, checks it against the contract, and reads its metadata.
    ///
    /// # Errors
    /// The error says what is wrong with the component and what to change.
    pub async fn install(&self, component: ComponentBytes<'_>) -> Result<PluginVersion, InstallError> {
        let ComponentBytes { bytes, digest } = component;
        let component = self.component(bytes, digest).await?;
        self.describe(PluginVersion::link(digest, bytes.len(), &component, self.linker())?).await
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
        tracing::info!(%digest, "compiling a plugin; this takes a few seconds, once per version");
        let (engine, bytes) = (self.wasmtime().clone(), bytes.to_vec());
        let compiled = tokio::task::spawn_blocking(move || Component::from_binary(&engine, &bytes)).await;
        let component = compiled
            .map_err(|error| InstallError::Malformed(error.to_string()))?
            .map_err(|error| InstallError::Malformed(format!("{error:#}")))?;
        if let Some(cache) = self.cache()
            && let Err(error) = write_atomically(cache, &name, &component)
        {
            tracing::warn!(%error, "the compiled component was not cached");
        }
        drop(one_at_a_time);
        Ok(component)
    }

    fn cached(&self, name: &str) -> Option<Component> {
        let file = self.cache()?.open(name).ok()?;
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut file.into_std(), &mut bytes).ok()?;
        // SAFETY: `deserialize` trusts its input. Only this host writes to the cache folder, under names that consist
        // of the component's digest and the engine's settings; wasmtime refuses files that another engine compiled.
        #[allow(unsafe_code)]
        let loaded = unsafe { Component::deserialize(self.wasmtime(), &bytes) };
        loaded
            .inspect_err(
                |error| tracing::warn!(%error, name, "a cached component cannot be loaded and is compiled again"),
            )
            .ok()
    }

    /// Calls the plugin's `describe`, twice, and `fields` in a sandbox that denies every import.
    async fn describe(&self, plugin: PluginVersion) -> Result<PluginVersion, InstallError> {
        let interfaces = plugin.interfaces();
        let options = CallOptions::without_shop();
        let called = self.call(Hook::Describe, &plugin, options, async |store, instance| {
            if let Err(error) = interfaces.check(store, instance) {
                return Ok((Err(type_mismatch(&error)), Vec::new()));
            }
            let metadata = interfaces.metadata(store, instance)?.call_describe(&mut *store).await?;
            let fields = interfaces.settings(store, instance)?.call_fields(&mut *store, FORM_LOCALE).await?;
            Ok((Ok(records::PluginMetadata::from(metadata)), convert_list::<_, Field>(fields)))
        });
        let ((identity, fields), _) = called.await.map_err(InstallError::Describe)?;
        let identity = identity?;
        // First, because every other error is about a plugin with this id.
        identity.id.parse::<PluginId>()?;
        check_repeatable(&identity, &self.described_again(&plugin).await?).map_err(InstallError::Metadata)?;
        let form = Form::check(fields).map_err(InstallError::Metadata)?;
        let id = check_metadata(&identity, &form.0, plugin.has(Interface::Cart)).map_err(InstallError::Metadata)?;
        let extras = [identity.check_extras(&id), form.0.check_extras(&id)];
        extras.into_iter().collect::<Result<(), _>>().map_err(|fault| InstallError::Metadata(fault.to_string()))?;
        if let Some(field) = form.0.iter().find(|field| field.choices == ChoiceSource::Dynamic)
            && !plugin.has(Interface::Choices)
        {
            return Err(InstallError::Metadata(format!(
                "the field {:?} has dynamic choices, and the plugin does not export `choices`, which returns them",
                field.name
            )));
        }
        let about = PluginMetadata { id, form, identity };
        Ok(plugin.with_metadata(about))
    }

    /// Calls `metadata.describe` with another clock and other random numbers.
    async fn described_again(&self, plugin: &PluginVersion) -> Result<records::PluginMetadata, InstallError> {
        let options = CallOptions::without_shop().seed(SECOND_SEED).clock_ahead(SECOND_CLOCK_AHEAD);
        let called = self.call(Hook::Describe, plugin, options, async |store, instance| {
            let metadata = plugin.interfaces().metadata(store, instance)?.call_describe(&mut *store).await?;
            Ok(Ok::<_, InstallError>(records::PluginMetadata::from(metadata)))
        });
        called.await.map_err(InstallError::Describe)?.0
    }

    fn cache_name(&self, digest: Digest) -> String {
        use std::hash::{Hash, Hasher};
        let mut hasher = std::hash::DefaultHasher::new();
        self.wasmtime().precompile_compatibility_hash().hash(&mut hasher);
        format!("{digest}-{:016x}-{}.cwasm", hasher.finish(), std::env::consts::ARCH)
    }
}

/// Writes a file completely or not at all, so that a reader never sees half of it.
fn write_atomically(cache: &Dir, name: &str, component: &Component) -> anyhow::Result<()> {
    let bytes = component.serialize().map_err(|error| anyhow::anyhow!("{error:#}"))?;
    // Several hosts of a process, or several processes of a machine, may write the same component at the same time.
    static NEXT_TEMPORARY_FILE: AtomicU64 = AtomicU64::new(0);
    let unfinished = format!("{name}.{}-{}", std::process::id(), NEXT_TEMPORARY_FILE.fetch_add(1, Ordering::Relaxed));
    let mut file = cache.create(&unfinished)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    cache.rename(&unfinished, cache, name)?;
    Ok(())
}
