//! Installation: which plugins this host has.

use std::sync::Arc;

use cartwright_contract::ids::Digest;
use cartwright_engine::{ComponentBytes, InstallError, PluginVersion};

use crate::host::{Cartwright, write};

impl Cartwright {
    /// Installs a component. The same bytes again give the same plugin. `pinned` refuses any other digest.
    ///
    /// # Errors
    /// Says in plain words what is wrong with the component and what to change; nothing is installed then.
    pub async fn install(&self, bytes: &[u8], pinned: Option<Digest>) -> Result<Arc<PluginVersion>, InstallError> {
        let component = ComponentBytes::check(bytes, pinned)?;
        if let Some(plugin) = self.plugin(&component.digest()) {
            return Ok(plugin);
        }
        let plugin = Arc::new(self.engine().install(component).await?);
        Ok(write(self.plugins()).entry(plugin.digest()).or_insert(plugin).clone())
    }
}
