// A fake's stand-in for the script that Twikit publishes: `window.twikit`, as "JavaScript Plugin" documents it. As there, the
// products' data is part of the script.
//
// The document contradicts itself. The fake keeps to its parameter table, `createContext` and `parametersReady`; with
// `?spelling=example` in its address it keeps to the example, `initialize` and `parameterReady`. It does not say whether the
// first variation is reported or only changes of it: the fake reports it, but not with `?first=silent`.
(() => {
  'use strict';

  const address = new URL(document.currentScript.src);
  const asExample = address.searchParams.get('spelling') === 'example';
  const firstIsSilent = address.searchParams.get('first') === 'silent';

  const metals = { Silver: '#bcc4cf', Gold: '#dba83a', 'Rose gold': '#d99a86' };
  const stones = { None: null, Ruby: '#c81e4a', Sapphire: '#2353c4', Emerald: '#14885a' };
  const products = {
    'diamond-letter-jewel': {
      name: 'Letter jewel',
      parameters: [
        { name: 'Letter', values: [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'], list: true },
        { name: 'Metal', values: ['Silver', 'Gold'], colors: metals },
        { name: 'Stone', values: ['None', 'Ruby', 'Sapphire', 'Emerald'], colors: stones },
      ],
      variation: (chosen) => (chosen.Metal === 'Gold' ? { sku: 'JEWEL-B', price: 69 } : { sku: 'JEWEL-A', price: 49 }),
    },
    pendant: {
      name: 'Pendant',
      parameters: [
        { name: 'Shape', values: ['Heart', 'Star', 'Drop'] },
        { name: 'Metal', values: ['Silver', 'Gold', 'Rose gold'], colors: metals },
      ],
      variation: () => ({ sku: 'PENDANT-A', price: 59 }),
    },
  };

  const tone = (color, by) => {
    const part = (at) => {
      const value = parseInt(color.slice(at, at + 2), 16);
      return Math.round(value + ((by < 0 ? 0 : 255) - value) * Math.abs(by));
    };
    return `rgb(${part(1)}, ${part(3)}, ${part(5)})`;
  };

  const shapes = {
    Heart: 'M0 72 C-96 6 -74 -66 -32 -64 C-12 -63 -3 -48 0 -38 C3 -48 12 -63 32 -64 C74 -66 96 6 0 72 Z',
    Star: 'M0 -78 L21 -26 L76 -22 L34 13 L48 68 L0 38 L-48 68 L-34 13 L-76 -22 L-21 -26 Z',
    Drop: 'M0 -84 C34 -26 62 0 62 30 C62 66 34 84 0 84 C-34 84 -62 66 -62 30 C-62 0 -34 -26 0 -84 Z',
  };

  /** Draws into any size: background, then the jewel in 400 by 400 units. */
  const draw = (canvas, chosen, background) => {
    const g = canvas.getContext('2d');
    const { width, height } = canvas;
    g.setTransform(1, 0, 0, 1, 0, 0);
    g.clearRect(0, 0, width, height);
    background(g, width, height);
    const scale = Math.min(width, height) / 400;
    g.setTransform(scale, 0, 0, scale, (width - 400 * scale) / 2, (height - 400 * scale) / 2);
    const metal = metals[chosen.Metal];
    const filling = g.createLinearGradient(120, 120, 280, 330);
    [0.55, 0, -0.3, 0.3, -0.2].forEach((by, index) => filling.addColorStop(index / 4, tone(metal, by)));
    g.lineWidth = 4;
    g.lineCap = 'round';
    g.strokeStyle = tone(metal, -0.12);
    g.setLineDash([3, 7]);
    g.stroke(new Path2D('M70 22 C100 116 160 148 194 154 M330 22 C300 116 240 148 206 154'));
    g.setLineDash([]);
    g.lineWidth = 5;
    g.beginPath();
    g.arc(200, 162, 11, 0, 2 * Math.PI);
    g.stroke();
    g.shadowColor = 'rgba(30, 36, 50, 0.3)';
    g.shadowBlur = 18 * scale;
    g.shadowOffsetY = 8 * scale;
    g.fillStyle = filling;
    if (chosen.Letter) {
      g.font = '700 190px Georgia, "Times New Roman", serif';
      g.textAlign = 'center';
      g.textBaseline = 'top';
      g.fillText(chosen.Letter, 200, 162);
    } else {
      // The shape is moved and not the canvas: its filling would move along.
      const shape = new Path2D();
      shape.addPath(new Path2D(shapes[chosen.Shape]), new DOMMatrix([1, 0, 0, 1, 200, 250]));
      g.fill(shape);
    }
    g.shadowColor = 'transparent';
    const stone = stones[chosen.Stone];
    if (stone) {
      g.fillStyle = stone;
      g.fill(new Path2D('M200 204 L182 186 L190 174 L210 174 L218 186 Z'));
      g.fillStyle = 'rgba(255, 255, 255, 0.55)';
      g.fill(new Path2D('M190 174 L200 186 L182 186 Z'));
    }
  };

  const scenery = (g, width, height) => {
    const light = g.createRadialGradient(width / 2, height * 0.4, 0, width / 2, height * 0.4, Math.max(width, height) * 0.7);
    light.addColorStop(0, '#ffffff');
    light.addColorStop(1, '#e9e4ee');
    g.fillStyle = light;
    g.fillRect(0, 0, width, height);
  };

  /** Elements as jQuery holds them: numbered, with a length. */
  class Parameters {
    constructor(elements) {
      elements.forEach((element, index) => {
        this[index] = element;
      });
      this.length = elements.length;
    }
  }

  const element = (name, className, text) => {
    const made = document.createElement(name);
    made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const style = `
    .twikit-canvas { display: block; width: 100%; height: 100%; min-height: 20rem; border-radius: inherit; }
    .twikit-parameter { border: 0; margin: 0 0 1.25rem; padding: 0; display: flex; flex-wrap: wrap; gap: 0.5rem; }
    .twikit-name { font-weight: 600; padding: 0; margin-bottom: 0.5rem; }
    .twikit-value { display: inline-flex; align-items: center; gap: 0.5rem; padding: 0.5rem 0.9rem; cursor: pointer;
      border: 1px solid #d5cede; border-radius: 10px; background: #fff; }
    .twikit-value:has(:checked) { border-color: #7a3fb3; box-shadow: inset 0 0 0 1px #7a3fb3; background: #faf5ff; }
    .twikit-value:has(:focus-visible) { outline: 3px solid #d3b4f0; outline-offset: 2px; }
    .twikit-radio { position: absolute; opacity: 0; pointer-events: none; }
    .twikit-swatch { width: 1.1rem; height: 1.1rem; border-radius: 50%; box-shadow: inset 0 0 0 1px rgba(0, 0, 0, 0.2); }
    .twikit-list { font: inherit; padding: 0.5rem 0.75rem; border: 1px solid #d5cede; border-radius: 10px; background: #fff; }
  `;

  /** A style sheet without a style element: a page's Content-Security-Policy forbids those. */
  const dress = () => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(style);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  };

  let count = 0;

  const field = (parameter, chosen, changed) => {
    const made = element('fieldset', 'twikit-parameter');
    made.append(element('legend', 'twikit-name', parameter.name));
    if (parameter.list) {
      const list = element('select', 'twikit-list');
      list.setAttribute('aria-label', parameter.name);
      list.append(...parameter.values.map((value) => element('option', '', value)));
      list.value = chosen[parameter.name];
      list.addEventListener('change', () => changed(list.value));
      made.append(list);
      return made;
    }
    count += 1;
    const group = `twikit-${count}`;
    for (const value of parameter.values) {
      const label = element('label', 'twikit-value');
      const input = element('input', 'twikit-radio');
      Object.assign(input, { type: 'radio', name: group, value });
      input.checked = chosen[parameter.name] === value;
      input.addEventListener('change', () => changed(value));
      label.append(input);
      const color = parameter.colors && parameter.colors[value];
      if (color) {
        const swatch = element('span', 'twikit-swatch');
        swatch.style.background = color;
        label.append(swatch);
      }
      label.append(element('span', '', value));
      made.append(label);
    }
    return made;
  };

  const resolve = (target) => {
    const found = typeof target === 'string' ? document.querySelector(target) : target;
    const single = found instanceof Element ? found : found && found[0];
    if (!(single instanceof Element)) throw new TypeError('The target is no element of this page.');
    return single;
  };

  const createContext = (productKey, locale, target, options = {}) => {
    const place = resolve(target);
    const product = Object.prototype.hasOwnProperty.call(products, productKey) ? products[productKey] : null;
    if (!product) throw new Error(`There is no product "${productKey}".`);
    const tell = (name, ...values) => {
      if (typeof options[name] === 'function') options[name](...values);
    };
    const chosen = Object.fromEntries(product.parameters.map(({ name, values }) => [name, values[0]]));
    const canvas = element('canvas', 'twikit-canvas');
    canvas.setAttribute('role', 'img');
    let variation = firstIsSilent ? product.variation(chosen).sku : null;
    const show = () => {
      const box = canvas.getBoundingClientRect();
      const ratio = window.devicePixelRatio || 1;
      canvas.width = Math.max(1, Math.round(box.width * ratio));
      canvas.height = Math.max(1, Math.round(box.height * ratio));
      draw(canvas, chosen, scenery);
      canvas.setAttribute('aria-label', [product.name, ...Object.values(chosen)].join(', '));
      const { sku, price } = product.variation(chosen);
      if (sku !== variation) {
        variation = sku;
        tell('variationChanged', { id: `variation-${sku.toLowerCase()}`, sku, price });
      }
    };
    const begin = async () => {
      for (const progress of [0, 40, 80]) {
        tell('statusChanged', progress, 'loading');
        await new Promise((next) => setTimeout(next, 30));
      }
      dress();
      place.replaceChildren(canvas);
      const fields = product.parameters.map((parameter) =>
        field(parameter, chosen, (value) => {
          chosen[parameter.name] = value;
          show();
        }),
      );
      tell(asExample ? 'parameterReady' : 'parametersReady', new Parameters(fields));
      show();
      new ResizeObserver(show).observe(canvas);
      tell('statusChanged', 100, 'ready');
      tell('loaded');
    };
    begin();
    return {
      save(saved) {
        tell('statusChanged', 100, 'busy');
        const preview = document.createElement('canvas');
        Object.assign(preview, { width: 512, height: 512 });
        const color = options.previewBackgroundColor;
        draw(preview, chosen, (g, width, height) => {
          // "#ffffff by default"; "if left blank, transparent is used".
          g.fillStyle = color === undefined ? '#ffffff' : color || 'transparent';
          g.fillRect(0, 0, width, height);
        });
        const body = { productKey, ...product.variation(chosen), preview: preview.toDataURL('image/png').split(',')[1] };
        fetch(`${address.origin}/viewer/configurations`, {
          method: 'POST',
          headers: { 'Content-Type': 'application/json' },
          body: JSON.stringify(body),
        })
          .then((reply) => (reply.ok ? reply.json() : Promise.reject(new Error(`saving failed with ${reply.status}`))))
          .then(
            (data) => saved(null, data),
            (error) => saved(error),
          )
          .finally(() => tell('statusChanged', 100, 'ready'));
      },
    };
  };

  window.twikit = Object.freeze({
    canVisualizeForBrowser: () => Boolean(document.createElement('canvas').getContext('2d')),
    [asExample ? 'initialize' : 'createContext']: createContext,
  });
})();
