// A cart strategy in JavaScript, for the world `cart-strategy`.
//
// It sells variants whose SKUs are joined from codes: a chair whose colour has the code "RED" and whose size has the code "L"
// becomes the variant "CHAIR-RED-L". The merchant gives the codes in the vendor's configurator and the rest in the settings
// below. How to build it: ../README.md.
//
// WIT names become camelCase (`price-from` is `priceFrom`), a variant is `{ tag, val }`, an enum is its name as a string, an
// empty option is `undefined`, and a failing call throws its `call-error`.
//
// The types in comments are for TypeScript, which finds a misspelled member in an editor: ../README.md.

import { write as log } from 'cartwright:plugin/log@0.1.0';

/** @import { Context, Item, Message, PlannedLine, PlanEntry } from 'cartwright:plugin/types@0.1.0' */
/** @import { Field } from 'cartwright:plugin/settings@0.1.0' */

/** @type {(key: string, text: string, parameters?: [string, string][]) => Message} */
const message = (key, text, parameters = []) => ({ key, parameters, text });

/** @type {typeof import('cartwright:plugin/metadata@0.1.0')} */
export const metadata = {
  describe() {
    return {
      id: 'joined-sku',
      name: 'Joined SKU',
      version: '0.1.0',
      publisher: "Cartwright's examples",
      outboundHosts: [],
      strategies: [{ name: 'joined-sku', title: message('joined-sku', 'Variant by joined codes'), extra: [] }],
      grants: [],
      extra: [],
    };
  },
};

// What every field has unless it says otherwise: all members of a record must be there.
/** @type {(name: string, label: string, rest: Partial<Field>) => Field} */
const field = (name, label, rest) => ({
  name,
  kind: 'text',
  label: message(`field-${name}`, label),
  help: undefined,
  group: undefined,
  placeholder: undefined,
  advanced: false,
  required: false,
  shownOnPage: false,
  pattern: undefined,
  minimum: undefined,
  maximum: undefined,
  defaultValue: undefined,
  choices: { tag: 'none' },
  enabledWhen: undefined,
  perProduct: true,
  vendorCanChange: false,
  outboundHosts: [],
  uses: [],
  extra: [],
  ...rest,
});

/** @type {typeof import('cartwright:plugin/settings@0.1.0')} */
export const settings = {
  fields(_locale) {
    return [
      field('prefix', 'SKU prefix', {
        help: message('help-prefix', 'What every SKU of the product begins with, such as CHAIR.'),
      }),
      field('separator', 'Separator', {
        maximum: '3',
        defaultValue: { tag: 'text', val: '-' },
        help: message('help-separator', 'What stands between the codes.'),
      }),
      field('ignore-case', 'Find SKUs in capitals and small letters alike', {
        kind: 'boolean',
        defaultValue: { tag: 'boolean', val: false },
      }),
      field('packaging', 'SKU of the packaging', {
        help: message('help-packaging', 'Sold with each configured product, as a line of its own.'),
      }),
    ];
  },

  validate(context) {
    if (!/\s/.test(setting(context, 'separator') ?? '')) return [];
    return [
      {
        field: 'separator',
        message: message('separator-blank', 'No SKU holds blanks: take another separator, such as "-".'),
        blocking: true,
      },
    ];
  },

  migrate(_fromVersion, values) {
    return values;
  },
};

/** @type {typeof import('cartwright:plugin/cart@0.1.0')} */
export const cart = {
  plan(context, request) {
    const entries = request.lineRequests.map(({ item, quantity }) => {
      if (item === undefined) {
        throw invalidInput('items', message('not-configured', 'Only a configured product has codes.'));
      }
      const sku = request.items[item].sku ?? joinedSku(context, request.items[item], item);
      log('debug', `planned ${sku}`);
      /** @type {PlannedLine} */
      const line = {
        target: {
          tag: 'sku',
          val: {
            sku,
            withinProduct: request.link.shopProduct,
            ignoreCase: setting(context, 'ignore-case') ?? false,
          },
        },
        quantity,
        title: undefined,
        displayFields: undefined, // the host shows the item's visible attributes
        price: { source: request.priceFrom, adjustments: [], ignoreCase: setting(context, 'ignore-case') ?? false },
        item,
        extra: [],
      };
      return entry(context, line);
    });
    return { entries, warnings: [], extra: [] };
  },
};

/**
 * The line by itself, or a set with a line for its packaging.
 *
 * @param {Context} context
 * @param {PlannedLine} line
 * @returns {PlanEntry}
 */
function entry(context, line) {
  const sku = setting(context, 'packaging');
  if (!sku) return { tag: 'line', val: line };
  /** @type {PlannedLine} */
  const packaging = {
    target: { tag: 'sku', val: { sku, withinProduct: undefined, ignoreCase: false } },
    quantity: line.quantity,
    title: undefined,
    displayFields: undefined,
    price: { source: 'platform', adjustments: [], ignoreCase: false },
    item: undefined, // the other line of the set names it
    extra: [],
  };
  return { tag: 'set', val: { lines: [line, packaging], extra: [] } };
}

/**
 * The prefix and the codes of the chosen values, in the configuration's order.
 *
 * @param {Context} context
 * @param {Item} item
 * @param {number} index
 */
function joinedSku(context, item, index) {
  const codes = item.attributes.filter((attribute) => !attribute.hidden && attribute.key).map((attribute) => attribute.key);
  if (codes.length === 0) {
    throw invalidInput(`items[${index}].attributes`, message('no-codes', 'No chosen value has a code that an SKU could be joined from.'));
  }
  const prefix = setting(context, 'prefix');
  return [...(prefix ? [prefix] : []), ...codes].join(setting(context, 'separator') ?? '-');
}

/**
 * The value of a setting; `undefined` if it is not set.
 *
 * @param {Context} context
 * @param {string} name
 * @returns {any}
 */
function setting(context, name) {
  const value = context.settings.find((entry) => entry.name === name)?.value;
  return value && 'val' in value ? value.val : undefined;
}

/**
 * @param {string} where
 * @param {Message} text
 */
function invalidInput(where, text) {
  return { tag: 'invalid-input', val: { field: where, message: text, blocking: true } };
}
