// A fake's stand-in for Expivi's options script: `new ExpiviComponent.default({ … })` shows a product and its options, and
// `window.expivi.saveConfiguration(…)` gives what the shopper configured. Written from Expivi's documents.
(() => {
  'use strict';

  const home = new URL(document.currentScript.src).origin;
  let count = 0;

  const element = (name, className, text) => {
    const made = document.createElement(name);
    made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const uuid = () => {
    // Not `crypto.randomUUID`: it is missing on a shop's plain http page.
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  };

  const place = (given, name) => {
    const found = typeof given === 'string' ? document.querySelector(given) : given;
    if (!(found instanceof Element)) throw new TypeError(`${name} is no element of this page.`);
    return found;
  };

  /** One configured product: which value each attribute has. */
  class Configured {
    constructor(product) {
      this.product = product;
      this.uuid = uuid();
      this.values = new Map();
      for (const attribute of product.attributes) {
        const text = attribute.type === 'text';
        this.values.set(attribute.id, text ? { text: '', font: attribute.fonts[0] } : attribute.values[0]);
      }
    }

    /** Takes over what was saved; what this product no longer has is left out. */
    reopen(saved) {
      for (const { attribute_id: id, attribute_value_name: name, attribute_value: typed } of saved.configuration.attributes) {
        const attribute = this.product.attributes.find((known) => known.id === id);
        if (!attribute) continue;
        if (attribute.type === 'text') {
          const [, text, font] = /^([^]*?)(?: @font:([^]*))?$/.exec(typed.value);
          this.values.set(id, { text, font: attribute.fonts.includes(font) ? font : attribute.fonts[0] });
        } else {
          const value = attribute.values.find((known) => known.name === name);
          if (value) this.values.set(id, value);
        }
      }
    }

    cents() {
      return this.product.attributes.reduce((sum, attribute) => {
        const value = this.values.get(attribute.id);
        return sum + (attribute.type === 'text' ? (value.text ? attribute.text_surcharge : 0) : value.surcharge);
      }, this.product.base_price);
    }

    scene(parts = []) {
      const value = (name) => {
        const attribute = this.product.attributes.find((known) => known.name === name);
        return attribute ? this.values.get(attribute.id) : null;
      };
      return {
        drawing: this.product.drawing,
        chosen: (name) => (value(name) ? value(name).name : ''),
        color: (name, otherwise) => (value(name) && value(name).color) || otherwise,
        text: (name) => ({ value: value(name).text, font: value(name).font }),
        parts,
      };
    }

    attributes(only, withKeys, withNames) {
      const shown = this.product.attributes.filter((attribute) => only(attribute));
      return shown.flatMap((attribute) => {
        const value = this.values.get(attribute.id);
        const said = { attribute_id: attribute.id };
        if (withNames) said.attribute_name = attribute.name;
        if (attribute.type === 'text') {
          if (!value.text) return [];
          said.attribute_value = { value: `${value.text} @font:${value.font}` };
        } else {
          said.attribute_value_name = value.name;
          if (withKeys && value.key) said.attribute_value_key = value.key;
        }
        return [said];
      });
    }

    articles() {
      return this.product.articles
        .filter(({ when }) => Object.entries(when).every(([id, name]) => this.values.get(Number(id)).name === name))
        .flatMap(({ count: times, when: _, ...article }) => Array(times).fill(article));
    }

    saved(thumbnail, withKeys) {
      return {
        version: '2.0',
        uuid: this.uuid,
        catalogue_id: String(this.product.catalogue_id),
        thumbnail,
        price: this.cents() / 100,
        configuration: { attributes: this.attributes(() => true, withKeys, false) },
        attributes: this.attributes((attribute) => !attribute.hidden, withKeys, true),
        articles: this.articles(),
      };
    }
  }

  class Component {
    constructor(options) {
      this.options = options;
      this.viewer = place(options.viewerContainer, 'viewerContainer');
      this.panel = place(options.optionContainer, 'optionContainer');
      this.price = options.priceSelectors ? place(options.priceSelectors, 'priceSelectors') : null;
      if (options.bundle_uuid === '') throw new TypeError('bundle_uuid must be null when there is none.');
      this.viewer.classList.add('expivi-viewer');
      this.bar = element('progress', 'expivi-progress');
      this.bar.setAttribute('aria-label', 'Loading');
      this.viewer.replaceChildren(this.bar);
      this.load().catch((error) => {
        this.viewer.replaceChildren(element('p', 'expivi-error', `The 3D viewer could not load: ${error.message}`));
      });
    }

    async load() {
      const { catalogueId, token, configuration } = this.options;
      const reply = await fetch(`${home}/viewer/products/${encodeURIComponent(catalogueId)}`, {
        headers: { Authorization: `Bearer ${token}` },
      });
      if (!reply.ok) throw new Error(`${reply.status} ${(await reply.json()).message}`);
      const { product, parts } = await reply.json();
      this.root = new Configured(product);
      this.parts = parts.map((part) => ({
        configured: new Configured(part),
        count: product.parts.find((known) => known.catalogue_id === part.catalogue_id).count,
      }));
      if (configuration) this.reopen(Array.isArray(configuration) ? configuration : configuration.configured_products);
      this.canvas = element('canvas', 'expivi-canvas');
      this.canvas.setAttribute('role', 'img');
      this.viewer.replaceChildren(this.canvas);
      this.panel.replaceChildren(...this.all().flatMap((configured) => this.fields(configured)));
      new ResizeObserver(() => this.show()).observe(this.viewer);
      window.expivi = { saveConfiguration: (...values) => this.saveConfiguration(...values) };
      this.show();
    }

    reopen(saved) {
      for (const configured of this.all()) {
        const same = saved.find((one) => String(one.catalogue_id) === String(configured.product.catalogue_id));
        if (same) configured.reopen(same);
      }
    }

    all() {
      return [this.root, ...this.parts.map((part) => part.configured)];
    }

    fields(configured) {
      const shown = configured.product.attributes.filter((attribute) => !attribute.hidden);
      return shown.map((attribute) => {
        const field = element('fieldset', 'expivi-attribute');
        const several = this.parts.length > 0 ? `${configured.product.name}: ${attribute.name}` : attribute.name;
        field.append(element('legend', 'expivi-name', several));
        if (attribute.type === 'text') field.append(...this.typed(configured, attribute));
        else if (attribute.values.length === 1) field.append(element('p', 'expivi-note', attribute.values[0].name));
        else field.append(...this.choices(configured, attribute));
        return field;
      });
    }

    choices(configured, attribute) {
      count += 1;
      const group = `expivi-${count}`;
      return attribute.values.map((value) => {
        const label = element('label', 'expivi-value');
        const input = element('input', 'expivi-radio');
        Object.assign(input, { type: 'radio', name: group, value: value.name });
        input.checked = configured.values.get(attribute.id) === value;
        input.addEventListener('change', () => {
          configured.values.set(attribute.id, value);
          this.show();
        });
        label.append(input);
        if (value.color) {
          const swatch = element('span', 'expivi-swatch');
          swatch.style.background = value.color;
          label.append(swatch);
        }
        label.append(element('span', 'expivi-label', value.name));
        if (value.surcharge) label.append(element('span', 'expivi-surcharge', `+ ${this.money(value.surcharge)}`));
        return label;
      });
    }

    typed(configured, attribute) {
      const value = configured.values.get(attribute.id);
      const text = element('input', 'expivi-text');
      Object.assign(text, { type: 'text', maxLength: 24, value: value.text });
      text.setAttribute('aria-label', attribute.name);
      text.addEventListener('input', () => {
        value.text = text.value;
        this.show();
      });
      const font = element('select', 'expivi-font');
      font.setAttribute('aria-label', 'Font');
      font.append(...attribute.fonts.map((name) => element('option', '', name)));
      font.value = value.font;
      font.addEventListener('change', () => {
        value.font = font.value;
        this.show();
      });
      return [text, font, element('span', 'expivi-surcharge', `+ ${this.money(attribute.text_surcharge)}`)];
    }

    scene() {
      return this.root.scene(this.parts.map(({ configured, count: times }) => ({ state: configured.scene(), count: times })));
    }

    show() {
      const box = this.viewer.getBoundingClientRect();
      const ratio = window.devicePixelRatio || 1;
      this.canvas.width = Math.max(1, Math.round(box.width * ratio));
      this.canvas.height = Math.max(1, Math.round(box.height * ratio));
      window.FakeExpiviViewer.draw(this.canvas, this.scene());
      const said = this.root.attributes((attribute) => !attribute.hidden, false, true);
      const choices = said.map((one) => one.attribute_value_name || one.attribute_value.value);
      this.canvas.setAttribute('aria-label', [this.root.product.name, ...choices].join(', '));
      if (this.price) {
        const sum = this.parts.reduce((cents, part) => cents + part.count * part.configured.cents(), this.root.cents());
        this.price.textContent = this.money(sum);
      }
    }

    money(cents) {
      const { currency, locale } = this.options;
      const style = currency ? { style: 'currency', currency } : { minimumFractionDigits: 2 };
      return new Intl.NumberFormat(locale || 'en', style).format(cents / 100);
    }

    async saveConfiguration(width, height, camera, type, options = {}) {
      const picture = document.createElement('canvas');
      Object.assign(picture, { width, height });
      window.FakeExpiviViewer.draw(picture, this.scene());
      const keys = options.include_keys === true;
      const root = this.root.saved(picture.toDataURL(type, 0.85), keys);
      if (this.parts.length === 0) return [root];
      const bundle = this.options.bundle_uuid || uuid();
      const products = [{ ...root, bundle_uuid: bundle, parent_uuid: null }];
      for (const { configured, count: times } of this.parts) {
        window.FakeExpiviViewer.draw(picture, configured.scene());
        const part = { ...configured.saved(picture.toDataURL(type, 0.85), keys), bundle_uuid: bundle, parent_uuid: root.uuid };
        products.push(part);
        for (let copy = 1; copy < times; copy += 1) {
          products.push({
            version: '2.0',
            uuid: uuid(),
            bundle_uuid: bundle,
            parent_uuid: root.uuid,
            replication_type: 'REPLICA',
            original_uuid: part.uuid,
            catalogue_id: part.catalogue_id,
            configuration: { attributes: [] },
            attributes: [],
          });
        }
      }
      return { bundle_uuid: bundle, configured_products: products };
    }
  }

  window.ExpiviComponent = { default: Component };
})();
