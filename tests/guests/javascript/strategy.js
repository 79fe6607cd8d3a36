// A cart strategy in JavaScript, for the world `cart-strategy`.
//
// It sells variants whose SKUs are joined from codes: a chair whose colour has the code "RED" and whose size has the code "L"
// becomes the variant "CHAIR-RED-L". The merchant gives the codes in the vendor's configurator and the rest in the settings
// below. How to build it: ../README.md.
//
// WIT names become camelCase (`price-from` is `priceFrom`), a variant is `{ tag, val }`, an enum is its name as a string, an
// empty option is `undefined`, and a failing call throws its `call-error`.

import { write as log } from 'cartwright:plugin/log@0.1.0';

const message = (key, text, parameters = []) => ({ key, parameters, text });

export const plugin = {
  describe() {
    return {
      id: 'joined-sku',
      name: 'Joined SKU',
      version: '0.1.0',
      vendor: "Cartwright's examples",
      hosts: [],
      strategies: [{ name: 'joined-sku', title: message('joined-sku', 'Variant by joined codes') }],
      capabilities: ['quotation'],
      grants: [],
      extra: [],
    };
  },
};

// What every field has unless it says otherwise: all members of a record must be there.
const field = (name, label, rest) => ({
  name,
  kind: 'text',
  label: message(`field-${name}`, label),
  help: undefined,
  group: undefined,
  required: false,
  public: false,
  pattern: undefined,
  minimum: undefined,
  maximum: undefined,
  default: undefined,
  choices: { tag: 'none' },
  enabledWhen: undefined,
  perProduct: true,
  vendorMayPush: false,
  hosts: [],
  ...rest,
});

export const settings = {
  fields(_locale) {
    return [
      field('prefix', 'SKU prefix', {
        help: message('help-prefix', 'What every SKU of the product begins with, such as CHAIR.'),
      }),
      field('separator', 'Separator', {
        maximum: '3',
        default: { tag: 'text', val: '-' },
        help: message('help-separator', 'What stands between the codes.'),
      }),
      field('ignore-case', 'Find SKUs in capitals and small letters alike', {
        kind: 'yes-no',
        default: { tag: 'yes-no', val: false },
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

export const cart = {
  plan(context, request) {
    const pieces = request.wanted.map(({ item, quantity }) => {
      if (item === undefined) {
        throw invalidInput('items', message('not-configured', 'Only a configured product has codes.'));
      }
      const sku = request.items[item].sku ?? joinedSku(context, request.items[item], item);
      log('debug', `planned ${sku}`);
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
        shown: undefined, // the host shows the item's visible attributes
        price: { source: request.priceFrom, adjustments: [], ignoreCase: setting(context, 'ignore-case') ?? false },
        item,
        extra: [],
      };
      return { tag: 'line', val: line };
    });
    return { pieces, warnings: [] };
  },
};

/** The prefix and the codes of the chosen values, in the configuration's order. */
function joinedSku(context, item, index) {
  const codes = item.attributes.filter((attribute) => !attribute.hidden && attribute.key).map((attribute) => attribute.key);
  if (codes.length === 0) {
    throw invalidInput(`items[${index}].attributes`, message('no-codes', 'No chosen value has a code that an SKU could be joined from.'));
  }
  const prefix = setting(context, 'prefix');
  return [...(prefix ? [prefix] : []), ...codes].join(setting(context, 'separator') ?? '-');
}

function setting(context, name) {
  return context.settings.find((entry) => entry.name === name)?.value.val;
}

function invalidInput(where, text) {
  return { tag: 'invalid-input', val: { field: where, message: text, blocking: true } };
}
