//! The same guest on wasmtime alone: the pool and WASI with the host's settings, without limits, epochs and
//! capabilities.

use bindings::cartwright::plugin::types::{CallError, Item, LineRequest, Money, NamedJson, Setting, SettingValue};
pub use bindings::cartwright::plugin::types::{Context, Currency, ProductLink, Rounding, Shop, Visitor};
use bindings::exports::cartwright::plugin::cart::{PlanRequest, PlanResult};
use bindings::exports::cartwright::plugin::configuration::DecodeResult;
use cartwright::types;
use wasmtime::component::{Component, ComponentExportIndex, Instance, InstancePre, Linker, ResourceTable, TypedFunc};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

#[allow(dead_code, missing_docs, clippy::all)]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/0.1",
        inline: "
            package cartwright:bare;

            world mine {
                include cartwright:plugin/vendor@0.1.0;
                include cartwright:plugin/has-cart@0.1.0;
            }
        ",
        world: "cartwright:bare/mine",
        exports: { default: async },
    });
}

pub struct State {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

pub struct Bare {
    engine: Engine,
    pre: InstancePre<State>,
    decode: ComponentExportIndex,
    plan: ComponentExportIndex,
    context: Context,
    product_link: ProductLink,
}

type Decode<'a> = TypedFunc<(&'a Context, &'a ProductLink, &'a [u8]), (Result<DecodeResult, CallError>,)>;
type Plan<'a> = TypedFunc<(&'a Context, &'a PlanRequest), (Result<PlanResult, CallError>,)>;

impl Bare {
    pub fn new(component: &[u8], context: Context, product_link: ProductLink) -> Self {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(256)
            .total_core_instances(1536)
            .total_memories(512)
            .total_tables(1536)
            .total_stacks(256)
            .table_elements(100_000)
            .max_memory_size(128 << 20)
            .linear_memory_keep_resident(1 << 20)
            .table_keep_resident(64 << 10)
            .pagemap_scan(Enabled::Auto);
        let mut config = Config::new();
        config.concurrency_support(false);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config).expect("an engine");
        let component = Component::from_binary(&engine, component).expect("a component");
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("WASI");
        linker.define_unknown_imports_as_traps(&component).expect("the other imports");
        let function = |interface: &str, name: &str| {
            let interface = component.get_export_index(None, interface).expect("the interface");
            component.get_export_index(Some(&interface), name).expect("the function")
        };
        Self {
            decode: function("cartwright:plugin/configuration@0.1.0", "decode"),
            plan: function("cartwright:plugin/cart@0.1.0", "plan"),
            pre: linker.instantiate_pre(&component).expect("all imports"),
            engine,
            context,
            product_link,
        }
    }

    pub async fn instance(&self) -> (Store<State>, Instance) {
        let state = State { wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
        let mut store = Store::new(&self.engine, state);
        let instance = self.pre.instantiate_async(&mut store).await.expect("an instance");
        (store, instance)
    }

    pub async fn decode(&self, (store, instance): &mut (Store<State>, Instance), raw: &[u8]) -> DecodeResult {
        let decode: Decode = instance.get_typed_func(&mut *store, self.decode).expect("decode");
        let input = (&self.context, &self.product_link, raw);
        let (decoded,) = decode.call_async(&mut *store, input).await.expect("an answer");
        decoded.expect("a configuration")
    }

    pub async fn request(&self, raw: &[u8]) -> PlanRequest {
        let mut decoded = self.decode(&mut self.instance().await, raw).await;
        decoded.items.iter_mut().for_each(|item| item.state = String::new());
        PlanRequest {
            strategy: "simple".to_owned(),
            link: self.product_link.clone(),
            line_requests: line_requests(&decoded.items),
            items: decoded.items,
            prices: Vec::new(),
            price_from: decoded.price_from,
            chosen_variant: None,
            cart_lines: Vec::new(),
            extra: Vec::new(),
        }
    }

    pub async fn plan(&self, (store, instance): &mut (Store<State>, Instance), request: &PlanRequest) -> PlanResult {
        let plan: Plan = instance.get_typed_func(&mut *store, self.plan).expect("plan");
        let (planned,) = plan.call_async(&mut *store, (&self.context, request)).await.expect("an answer");
        planned.expect("a plan")
    }
}

/// Converts a setting of the host into a type of wasmtime's bindings.
pub fn setting(name: &str, value: types::SettingValue) -> Setting {
    let value = match value {
        types::SettingValue::Text(text) => SettingValue::Text(text),
        types::SettingValue::Integer(number) => SettingValue::Integer(number),
        types::SettingValue::Decimal(decimal) => SettingValue::Decimal(decimal),
        types::SettingValue::Boolean(on) => SettingValue::Boolean(on),
        types::SettingValue::Money(types::Money { minor, scale, currency }) => {
            SettingValue::Money(Money { minor, scale, currency })
        }
        types::SettingValue::Texts(texts) => SettingValue::Texts(texts),
        types::SettingValue::Pairs(pairs) => SettingValue::Pairs(pairs),
        types::SettingValue::SecretIsSet => SettingValue::SecretIsSet,
        types::SettingValue::Other(types::NamedJson { name, json }) => SettingValue::Other(NamedJson { name, json }),
    };
    Setting { name: name.to_owned(), value }
}

fn line_requests(items: &[Item]) -> Vec<LineRequest> {
    (0..items.len() as u32).map(|item| LineRequest { item: Some(item), quantity: 1, extra: Vec::new() }).collect()
}
