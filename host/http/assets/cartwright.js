/*
 * cartwright.js: turns the embed data of a linked product into a running configurator. No dependency, no build step, no
 * inline code: it works under a strict Content-Security-Policy that allows `allowed_origins`. Apache-2.0.
 *
 *   const configurator = await Cartwright.start({
 *     embed,                        // the embed data: members in snake_case, as the HTTP API gives it
 *     elements: { viewer, options, price },   // elements for the places that the merchant named no selector for
 *     on: { loaded() {}, progress(percent) {}, 'variation-changed'(variation) {}, failed() {}, warning(error) {} },
 *     timeouts: { load: 30000, save: 30000 }, // milliseconds, for each step
 *     translate: (message) => message.text,   // words the fallback and a frame's title, by their keys
 *   });
 *   const configuration = await configurator.save();  // a text: send exactly these bytes as the raw configuration
 *   configurator.hasOwnButton;      // true: show none, and call `save()` at once: it waits for the shopper
 *   configurator.action;            // "add-to-cart" or "request-quote"
 *   configurator.successPage;       // where the shopper goes afterwards, or null: the page decides
 *   configurator.destroy();         // puts back what the places held before
 *
 * `on` has a handler for each meaning of the contract (`interface page`), called with what the vendor reported; those
 * values are the vendor's: show them as text. `warning` tells of a style sheet that did not load.
 *
 * What fails rejects with a `Cartwright.Error`, whose `code` is one of: embed (the data cannot be understood), mount (the
 * page lacks an element), asset (a script did not load), unsupported (this browser cannot show it), path (the vendor's
 * script made no such function), vendor (the vendor's code failed), timeout, payload, destroyed. Where the configurator
 * cannot be shown, its place holds the fallback message.
 */
(() => {
  'use strict';

  class CartwrightError extends Error {
    constructor(code, message, cause) {
      super(message);
      this.name = 'CartwrightError';
      this.code = code;
      this.cause = cause;
    }
  }

  const failed = (what, cause) => {
    const said = cause && cause.message ? cause.message : String(cause);
    return new CartwrightError('vendor', `${what} failed: ${said}`, cause);
  };

  /** Rejects when a promise takes longer than this. */
  const within = (milliseconds, what, promise) => {
    let timer;
    const late = new Promise((_, reject) => {
      const text = `${what} took longer than ${milliseconds / 1000} s.`;
      timer = setTimeout(() => reject(new CartwrightError('timeout', text)), milliseconds);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
  };

  const parse = (json, what) => {
    try {
      return JSON.parse(json);
    } catch (cause) {
      throw new CartwrightError('embed', `${what} is no JSON.`, cause);
    }
  };

  /** An http address; `javascript:` and its like would run in the page. */
  const address = (text) => {
    let url = null;
    try {
      url = new URL(text, document.baseURI);
    } catch (_) {
      // As wrong as another scheme.
    }
    return url && (url.protocol === 'https:' || url.protocol === 'http:') ? url.href : null;
  };

  const required = (text, what) => {
    const url = address(text);
    if (!url) throw new CartwrightError('embed', `${what} has no http address: ${text}`);
    return url;
  };

  /** Script elements of vendors that have not run yet. */
  const vendorScripts = new Set();

  /**
   * Makes a property look absent to vendors' scripts only: a script runs as `document.currentScript`, and those of the
   * page run meanwhile, and may set it. Gives what undoes it.
   */
  const hide = (owner, name) => {
    const found = Object.getOwnPropertyDescriptor(owner, name);
    if (found ? !found.configurable : !Object.isExtensible(owner)) {
      if (!found || !found.writable) return () => {};
      // A `var` of the page's: its reader is unknown, so it is absent for all until the vendors' scripts have run.
      owner[name] = undefined;
      return () => {
        if (owner[name] === undefined) owner[name] = found.value;
      };
    }
    let value = found && found.value;
    const read = () => (found && found.get ? found.get.call(owner) : value);
    const get = () => (vendorScripts.has(document.currentScript) ? undefined : read());
    const set = (other) => {
      if (found && found.set) found.set.call(owner, other);
      else value = other;
    };
    Object.defineProperty(owner, name, { configurable: true, enumerable: found ? found.enumerable : true, get, set });
    return () => {
      const now = Object.getOwnPropertyDescriptor(owner, name);
      // The page may have declared it anew.
      if (!now || now.get !== get) return;
      if (found && found.get) Object.defineProperty(owner, name, found);
      else if (found) Object.defineProperty(owner, name, { ...found, value });
      else if (value === undefined) delete owner[name];
      else Object.defineProperty(owner, name, { configurable: true, enumerable: true, writable: true, value });
    };
  };

  let unhide = [];

  /**
   * A script in the UMD form looks for a module loader (`define.amd`, `module` and `exports`). Where there is one, as on pages with
   * RequireJS, it registers itself there, and not at `window`, where the embed data looks for it. So a vendor's script sees none. Gives
   * what is to be called when the script has run.
   */
  const hideLoaders = (element) => {
    if (vendorScripts.size === 0) {
      // Where there is a loader its function stays: scripts of the page may define modules meanwhile.
      const isThere = typeof window.define === 'function';
      unhide = [hide(window, 'module'), hide(window, 'exports'), isThere ? hide(window.define, 'amd') : hide(window, 'define')];
    }
    vendorScripts.add(element);
    return () => {
      if (!vendorScripts.delete(element) || vendorScripts.size > 0) return;
      for (const undo of unhide) undo();
      unhide = [];
    };
  };

  /** Scripts and style sheets that the page has: a second configurator does not run its vendor's script again. */
  const assets = new Map();

  const load = (asset, kind, milliseconds) => {
    const url = required(asset.url, `A ${kind}`);
    const key = [kind, url, asset.integrity].join(' ');
    if (assets.has(key)) return assets.get(key);
    const element = document.createElement(kind === 'script' ? 'script' : 'link');
    const arrived = new Promise((resolve, reject) => {
      element.onload = () => resolve();
      element.onerror = () => {
        const why = 'its address is wrong, the Content-Security-Policy forbids it, or its integrity value differs';
        reject(new CartwrightError('asset', `The ${kind} ${url} did not load: ${why}.`));
      };
    });
    if (asset.integrity) {
      element.integrity = asset.integrity;
      element.crossOrigin = 'anonymous';
    }
    if (kind === 'script') {
      if (asset.module) element.type = 'module';
      element.src = url;
    } else {
      element.rel = 'stylesheet';
      element.href = url;
    }
    // A module of the language looks for no loader.
    const ran = kind === 'script' && !asset.module ? hideLoaders(element) : () => {};
    document.head.append(element);
    const loaded = within(milliseconds, `Loading ${url}`, arrived);
    assets.set(key, loaded);
    loaded.then(ran, () => {
      // Another attempt loads it again.
      assets.delete(key);
      element.remove();
      ran();
    });
    return loaded;
  };

  /** Names that `window` lacked before the first embed data that calls them loaded its scripts: not `eval`, not the page's. */
  const made = new Set();

  const first = (path) => path.split('.')[0];

  const toPrototype = /(^|\.)(__proto__|constructor|prototype)(\.|$)/;

  /** The first of the paths that is a function, with the object that it is called on. */
  const find = (root, paths) => {
    for (const path of paths) {
      let owner;
      let value = root;
      for (const name of path.split('.')) {
        owner = value;
        value = value === null || value === undefined ? undefined : value[name];
      }
      if (typeof value === 'function') return { owner, value };
    }
    return null;
  };

  const member = (value, path) => {
    let inner = value;
    // Not `reduce`, which old libraries replace by another function of that name.
    for (const name of path.split('.')) {
      if (name !== '') inner = inner === null || inner === undefined ? undefined : inner[name];
    }
    return inner;
  };

  /**
   * `JSON.stringify` as the language defines it. Old libraries, such as Prototype.js, put a `toJSON` on everything, which makes texts of
   * lists. It is away for the length of this call, in which no other code runs but the vendor's own `toJSON`.
   */
  const stringify = (value) => {
    const prototypes = [Array, Boolean, Number, Object, String].map((type) => type.prototype);
    const found = prototypes.map((prototype) => Object.getOwnPropertyDescriptor(prototype, 'toJSON'));
    for (const prototype of prototypes) Reflect.deleteProperty(prototype, 'toJSON');
    try {
      return JSON.stringify(value);
    } finally {
      prototypes.forEach((prototype, at) => {
        if (found[at]) Object.defineProperty(prototype, 'toJSON', found[at]);
      });
    }
  };

  /** Replaces placeholders: objects whose one member is among `meanings`. */
  const fill = (value, meanings) => {
    if (Array.isArray(value)) return value.map((inner) => fill(inner, meanings));
    if (value === null || typeof value !== 'object') return value;
    const entries = Object.entries(value);
    if (entries.length === 1 && meanings.has(entries[0][0])) return meanings.get(entries[0][0])(entries[0][1]);
    // `fromEntries` keeps a member "__proto__" a member.
    return Object.fromEntries(entries.map(([name, inner]) => [name, fill(inner, meanings)]));
  };

  /** The nodes in what a vendor hands over: one, a list, or a jQuery object. Texts are no nodes: nothing is read as HTML. */
  const nodes = (value) => {
    if (value instanceof Node) return [value];
    const many = value !== null && typeof value === 'object' && typeof value.length === 'number';
    return many ? Array.from(value).filter((inner) => inner instanceof Node) : [];
  };

  class Running {
    constructor({ embed, elements = {}, on = {}, timeouts = {}, translate = (message) => message.text }) {
      Object.assign(this, { embed, elements, translate, over: false, saving: null, vendor: null, frame: null });
      this.handlers = new Map(Object.entries(on));
      this.limits = { load: 30000, save: 30000, ...timeouts };
      this.latest = new Map();
      this.before = new Map();
      this.unlisten = [];
      this.complete = null;
      // The value of the latest "completed", until it is saved.
      this.completed = null;
      this.wake = () => {};
    }

    /** The element of a role: what the merchant's selector finds, else the one that the page gave. */
    element(role) {
      const mount = this.embed.mounts.find((mount) => mount.role === role);
      if (!mount || !mount.selector) return this.elements[role] || null;
      try {
        return document.querySelector(mount.selector);
      } catch (_) {
        // What is no selector matches nothing.
        return null;
      }
    }

    async start() {
      const { embed, limits } = this;
      for (const call of [embed.supported, embed.start, embed.save]) {
        const names = call && call.receiver === 'page' ? call.paths.map(first) : [];
        for (const name of names) if (!(name in window)) made.add(name);
      }
      for (const { role, selector, required } of embed.mounts) {
        const place = this.element(role);
        if (place) this.before.set(place, [...place.childNodes]);
        else if (required) {
          const where = selector ? `nothing matches "${selector}"` : 'the page gave none';
          throw new CartwrightError('mount', `There is no element for "${role}": ${where}.`);
        }
      }
      await Promise.all(
        // Without its style sheet a configurator is ugly, and works.
        embed.styles.map((style) => load(style, 'style sheet', limits.load).catch((error) => this.tell('warning', [error]))),
      );
      for (const script of embed.scripts) await load(script, 'script', limits.load);
      this.listen();
      if (embed.frame) await this.openFrame(embed.frame);
      if (embed.supported) {
        const { value } = await this.call(embed.supported, 'Asking whether this browser can show it', limits.load);
        if (value === false) throw new CartwrightError('unsupported', embed.fallback.text);
      }
      if (!embed.start) return;
      const { value } = await this.call(embed.start, 'Starting the configurator', limits.load);
      this.completed = null;
      if (!this.frame || (value !== undefined && value !== null)) this.vendor = value;
    }

    /** Until `start` gives something else back, the configurator of a frame is the frame's element. */
    openFrame({ url, title, allow, sandbox }) {
      const place = this.element('viewer');
      if (!place) throw new CartwrightError('mount', 'There is no element for "viewer" to put the frame into.');
      const frame = document.createElement('iframe');
      frame.className = 'cartwright-frame';
      frame.title = this.translate(title);
      frame.allow = allow.join('; ');
      if (sandbox.length > 0) frame.setAttribute('sandbox', sandbox.join(' '));
      frame.src = required(url, 'The frame');
      const arrived = new Promise((resolve) => {
        frame.onload = () => resolve();
      });
      this.frame = frame;
      this.vendor = frame;
      if (!this.before.has(place)) this.before.set(place, [...place.childNodes]);
      place.replaceChildren(frame);
      return within(this.limits.load, `Loading ${frame.src}`, arrived);
    }

    listen() {
      const add = (name, hear) => {
        window.addEventListener(name, hear, true);
        this.unlisten.push(() => window.removeEventListener(name, hear, true));
      };
      if (this.embed.frame) {
        add('message', (event) => this.hear(event));
        return;
      }
      for (const { name, meaning } of this.embed.events) {
        add(name, (event) => {
          if (this.isOurs(event.target)) this.report(meaning, event.detail === null ? [] : [event.detail]);
        });
      }
    }

    /** Other elements of the page may have events of the same name. */
    isOurs(target) {
      if (!(target instanceof Node) || target === document) return true;
      return ['viewer', 'options', ...this.embed.mounts.map((mount) => mount.role)].some((role) => {
        const place = this.element(role);
        return place instanceof Node && place.contains(target);
      });
    }

    /** A message of our frame: any other window can post to this page as well. */
    hear(event) {
      const { frame, embed } = this;
      if (!frame || event.source !== frame.contentWindow || event.origin !== embed.frame.origin) return;
      let { data } = event;
      if (typeof data === 'string') {
        try {
          data = JSON.parse(data);
        } catch (_) {
          // A plain text is its own name.
        }
      }
      for (const { name, name_in: members, value_in: holder, meaning } of embed.events) {
        const values = (members.length > 0 ? members : ['type', 'event']).map((member) => data && data[member]);
        const [found] = [data, ...values].filter((value) => typeof value === 'string');
        if (found === name) this.report(meaning, [holder && data ? data[holder] : data]);
      }
    }

    /** Calls the vendor's code; gives `{ value }`, because a value that is a promise must not be waited for. */
    async call(call, what, milliseconds) {
      const onPage = call.receiver === 'page';
      const ofFrame = this.vendor === this.frame;
      // From a frame's element every other path leads back to the page.
      const isSafe = (path) => (onPage ? made.has(first(path)) : !ofFrame || path === 'contentWindow.postMessage');
      const paths = call.paths.filter((path) => isSafe(path) && !toPrototype.test(path));
      const found = find(onPage ? window : this.vendor, paths);
      if (!found) {
        const where = onPage ? "what the vendor's scripts made" : 'the configurator';
        const names = call.paths.map((path) => `"${path}"`).join(' or ');
        throw new CartwrightError('path', `${what}: ${where} has no function ${names}.`);
      }
      const known = ['return-value', 'promise', 'callback'].includes(call.completion);
      if (!known) throw new CartwrightError('embed', `${what}: a call cannot end as "${call.completion}".`);
      let complete = null;
      const completed = call.completion !== 'callback' ? null : new Promise((resolve, reject) => {
        complete = (error, result) => (error ? reject(failed(what, error)) : resolve(result));
      });
      this.complete = complete;
      const meanings = new Map([
        ['$literal', (value) => value],
        ['$element', (role) => this.element(role)],
        ['$callback', (meaning) => {
          if (meaning === 'completed' && complete) return complete;
          return (...values) => this.report(meaning, values);
        }],
      ]);
      const values = fill(parse(call.args, `${what}: the arguments`), meanings);
      let value;
      try {
        value = call.construct ? Reflect.construct(found.value, values) : Reflect.apply(found.value, found.owner, values);
      } catch (cause) {
        throw failed(what, cause);
      }
      if (call.completion === 'return-value') return { value };
      const ending = completed || Promise.resolve(value).catch((cause) => Promise.reject(failed(what, cause)));
      return within(milliseconds, what, ending).then((result) => ({ value: result }));
    }

    report(meaning, values) {
      if (this.over) return;
      this.latest.set(meaning, values[0]);
      if (meaning === 'completed') {
        // A frame has no callback to call.
        if (this.complete) this.complete(null, values[0]);
        this.completed = { value: values[0] };
        this.wake();
      }
      if (meaning === 'failed') this.fall(false);
      if (meaning === 'options-ready') {
        const [place, parts] = [this.element('options'), nodes(values[0])];
        if (place && parts.length > 0) place.replaceChildren(...parts);
      }
      this.tell(meaning, values);
    }

    tell(meaning, values) {
      const handler = this.handlers.get(meaning);
      if (!handler) return;
      try {
        handler(...values);
      } catch (error) {
        // A page's mistake must not stop the vendor's code.
        console.error(error);
      }
    }

    /** Shows the fallback message, in the place of everything or above what may still be of use. */
    fall(replace) {
      const place = this.element('viewer') || this.elements.viewer;
      if (!place || place.querySelector('.cartwright-fallback')) return;
      const text = document.createElement('p');
      text.className = 'cartwright-fallback';
      text.setAttribute('role', 'alert');
      text.textContent = this.translate(this.embed.fallback);
      if (replace) place.replaceChildren(text);
      else place.prepend(text);
    }

    /** Two calls at once are one: a shopper who clicks twice saves once. */
    save() {
      if (this.over) return Promise.reject(new CartwrightError('destroyed', 'This configurator was destroyed.'));
      if (!this.saving) {
        this.saving = this.saved().finally(() => {
          this.saving = null;
        });
      }
      return this.saving;
    }

    /** What the vendor saved; without `save`, what its own button completes. */
    async result() {
      if (this.embed.save) return (await this.call(this.embed.save, 'Saving the configuration', this.limits.save)).value;
      while (!this.completed) {
        await new Promise((resolve) => {
          this.wake = resolve;
        });
        if (this.over) return this.save();
      }
      const { value } = this.completed;
      this.completed = null;
      return value;
    }

    async saved() {
      const value = await this.result();
      const meanings = new Map([
        ['$result', (path) => member(value, path)],
        ['$event', (meaning) => this.latest.get(meaning)],
      ]);
      const orNull = new Map(
        [...meanings].map(([name, give]) => [name, (of) => {
          const given = give(of);
          return given === undefined ? null : given;
        }]),
      );
      const payload = fill(parse(this.embed.payload, 'The payload'), orNull);
      try {
        return stringify(payload);
      } catch (cause) {
        throw new CartwrightError('payload', 'What the configurator saved cannot be written as JSON.', cause);
      }
    }

    destroy() {
      if (this.over) return;
      this.over = true;
      this.wake();
      for (const stop of this.unlisten) stop();
      // What the places held before: such as the shop's own price.
      for (const [place, held] of this.before) place.replaceChildren(...held);
    }
  }

  const start = async (options) => {
    const { embed } = options;
    const lists = embed ? [embed.mounts, embed.scripts, embed.styles, embed.events] : [null];
    if (!lists.every(Array.isArray) || !embed.fallback) {
      throw new CartwrightError('embed', 'Cartwright.start needs `embed`: the embed data of a linked product.');
    }
    const running = new Running(options);
    try {
      await running.start();
    } catch (error) {
      running.destroy();
      running.fall(true);
      throw error;
    }
    return Object.freeze({
      hasOwnButton: !embed.save,
      action: embed.action,
      successPage: embed.success_page ? address(embed.success_page) : null,
      save: () => running.save(),
      destroy: () => running.destroy(),
    });
  };

  window.Cartwright = Object.freeze({ start, Error: CartwrightError });
})();
