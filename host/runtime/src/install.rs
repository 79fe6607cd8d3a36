//! Installation: which plugins this host has.

use std::sync::Arc;

use cartwright_contract::ids::Digest;
use cartwright_engine::{ComponentBytes, InstallError, PluginVersion};

use crate::host::{Cartwright, write};

impl Cartwright {
    /// Installs a component. The same bytes return the same plugin version. If `pinned` is given, any other digest is
    /// refused.
    ///
    /// # Errors
    /// The error says what is wrong with the component and what to change; nothing is installed then.
    pub async fn install(&self, bytes: &[u8], pinned: Option<Digest>) -> Result<Arc<PluginVersion>, InstallError> {
        let component = ComponentBytes::check(bytes, pinned)?;
        if let Some(plugin) = self.plugin(&component.digest()) {
            return Ok(plugin);
        }
        let plugin = Arc::new(self.engine().install(component).await?);
        Ok(write(self.plugins()).entry(plugin.digest()).or_insert(plugin).clone())
    }
}
