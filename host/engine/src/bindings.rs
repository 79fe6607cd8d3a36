//! Links the imports of the contract to their implementations in the host.

use cartwright_contract::interfaces::{blobs, catalog, http, log, order_book, outcomes, secrets, timer};
use wasmtime::component::{HasSelf, Linker};

use crate::state::GuestState;

/// Links all imports of the contract.
pub(crate) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    type State = HasSelf<GuestState>;
    log::add_to_linker::<_, State>(linker, |state| state)?;
    http::add_to_linker::<_, State>(linker, |state| state)?;
    secrets::add_to_linker::<_, State>(linker, |state| state)?;
    catalog::add_to_linker::<_, State>(linker, |state| state)?;
    order_book::add_to_linker::<_, State>(linker, |state| state)?;
    blobs::add_to_linker::<_, State>(linker, |state| state)?;
    outcomes::add_to_linker::<_, State>(linker, |state| state)?;
    timer::add_to_linker::<_, State>(linker, |state| state)
}
