"""A cart strategy in Python, for the world `cart-strategy`.

It sells a configured product as a bundle: the linked product is the parent, and every article with a `price-sku` is a child.
Equal articles are added up. How to build it: ../README.md.

WIT names become snake_case (`price-from` is `price_from`), a case of a variant is a class (`PlanEntry_Bundle`), a case of an
enum is in capitals (`PriceSource.COMPONENTS`), an empty option is `None`, and a failing call raises `Err` with its `call-error`.
The app is the module that is componentized; it has one class for each exported interface.
"""

from decimal import Decimal

from componentize_py_types import Err
from wit_world.exports import Cart as CartExport, Metadata as MetadataExport, Settings as SettingsExport
from wit_world.exports.cart import PlanRequest, PlanResult
from wit_world.exports.metadata import PluginMetadata, Strategy
from wit_world.exports.settings import Choice, ChoiceSource_Fixed, Field
from wit_world.imports import catalog
from wit_world.imports.types import (
    Bundle,
    BundleChild,
    ChildRemoval,
    Context,
    CallError_InvalidInput,
    CallError_Rejected,
    FieldIssue,
    Item,
    LinePrice,
    Message,
    PlanEntry_Bundle,
    PlannedLine,
    Setting,
    SettingValue_Text,
    SkuQuery,
    Target_LinkedProduct,
    Target_Sku,
)

LARGEST = 2**32 - 1


class Metadata(MetadataExport):
    def describe(self) -> PluginMetadata:
        return PluginMetadata(
            id="parts-bundle",
            name="Bundle of parts",
            version="0.1.0",
            publisher="Cartwright's examples",
            outbound_hosts=[],
            strategies=[Strategy("parts-bundle", message("parts-bundle", "Bundle of its priced parts"), [])],
            grants=[],
            extra=[],
        )


class Settings(SettingsExport):
    def fields(self, locale: str) -> list[Field]:
        return [
            Field(
                name="child-removal",
                kind="select",
                label=message("child-removal", "When a shopper takes a part out"),
                help=None,
                group=None,
                placeholder=None,
                advanced=False,
                required=True,
                shown_on_page=False,
                pattern=None,
                minimum=None,
                maximum=None,
                default_value=SettingValue_Text("refused"),
                choices=ChoiceSource_Fixed([
                    Choice("refused", message("child-removal-refused", "Refuse it"), []),
                    Choice("repriced", message("child-removal-repriced", "Go on without it"), []),
                ]),
                enabled_when=None,
                per_product=True,
                vendor_can_change=False,
                outbound_hosts=[],
                uses=[],
                extra=[],
            )
        ]

    def validate(self, context: Context) -> list[FieldIssue]:
        return []

    def migrate(self, from_version: str, values: list[Setting]) -> list[Setting]:
        return values


class Cart(CartExport):
    def plan(self, context: Context, request: PlanRequest) -> PlanResult:
        entries = []
        for line_request in request.line_requests:
            if line_request.item is None:
                raise invalid_input("items", message("not-configured", "Only a configured product has parts."))
            entries.append(PlanEntry_Bundle(bundle(context, request, line_request.item, line_request.quantity)))
        return PlanResult(entries=entries, warnings=[], extra=[])


def bundle(context: Context, request: PlanRequest, root: int, quantity: int) -> Bundle:
    parent = PlannedLine(
        target=Target_LinkedProduct(),
        quantity=quantity,
        title=None,
        display_fields=None,  # the host shows the item's visible attributes
        price=LinePrice(source=request.price_from, adjustments=[], ignore_case=False),
        item=root,
        extra=[],
    )
    parts = count_parts(family(request.items, root))
    refuse_unknown(list(parts))
    removal = ChildRemoval.REPRICED if text_setting(context, "child-removal") == "repriced" else ChildRemoval.REFUSED
    children = [
        BundleChild(
            target=Target_Sku(query(sku)),
            quantity=count,
            title=None,
            display_fields=None,
            priced_separately=False,
            removal=removal,
            extra=[],
        )
        for sku, count in parts.items()
    ]
    return Bundle(parent=parent, children=children, extra=[])


def family(items: list[Item], root: int) -> list[tuple[Item, int]]:
    """A root and all items below it, each with how many of it the root takes; parents stand before their children."""
    below = [(items[root], 1)]
    counts = {items[root].id: 1}
    for item in items:
        if item.parent is not None and item.parent in counts:
            count = counts[item.parent] * item.quantity
            below.append((item, count))
            counts[item.id] = count
    return below


def count_parts(items: list[tuple[Item, int]]) -> dict[str, int]:
    """How many of each price SKU one bundle takes, in the order in which they first come."""
    sums: dict[str, Decimal] = {}
    for item, count in items:
        for article in item.articles:
            if article.price_sku is not None:
                needed = Decimal(article.quantity) * count
                sums[article.price_sku] = sums.get(article.price_sku, Decimal(0)) + needed

    parts: dict[str, int] = {}
    for sku, quantity in sums.items():
        if quantity == 0:
            continue
        if quantity != int(quantity) or not 0 < quantity <= LARGEST:
            text = f"The part {sku} is needed {quantity} times; a cart holds whole numbers only."
            parameters = [("sku", sku), ("quantity", str(quantity))]
            raise invalid_input("items[].articles[].quantity", Message("not-a-count", parameters, text))
        parts[sku] = int(quantity)
    return parts


def refuse_unknown(skus: list[str]) -> None:
    """Names all unknown parts at once; the host alone would name the first."""
    found = catalog.resolve([query(sku) for sku in skus])
    unknown = ", ".join(sku for sku, variants in zip(skus, found) if not variants)
    if unknown:
        text = f"The shop does not know these parts: {unknown}."
        raise Err(CallError_Rejected(Message("parts-unknown", [("skus", unknown)], text)))


def query(sku: str) -> SkuQuery:
    return SkuQuery(sku=sku, within_product=None, ignore_case=False)


def text_setting(context: Context, name: str) -> str | None:
    for setting in context.settings:
        if setting.name == name and isinstance(setting.value, SettingValue_Text):
            return setting.value.value
    return None


def message(key: str, text: str) -> Message:
    return Message(key=key, parameters=[], text=text)


def invalid_input(where: str, text: Message) -> Err:
    return Err(CallError_InvalidInput(FieldIssue(field=where, message=text, blocking=True)))
