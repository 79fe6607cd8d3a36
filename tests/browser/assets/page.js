// What a shop's theme does with cartwright.js: it waits for the configurator, shows what it reports, and sends what it saved.
(async () => {
  'use strict';
  const by = (id) => document.getElementById(id);
  const limit = Number(new URLSearchParams(location.search).get('limit')) || 30000;
  const reply = await fetch(`${location.pathname}/embed`);
  const { title, embed } = await reply.json();
  // What a vendor loads does not hold the page's own `load` up: a test visits a page until then.
  if (document.readyState !== 'complete') await new Promise((done) => window.addEventListener('load', done));
  by('title').textContent = title;
  document.title = title;
  window.seen = [];
  const saw = (meaning) => (value) => window.seen.push([meaning, value]);
  const fault = (error) => {
    document.body.dataset.fault = error.code || 'unknown';
    by('message').textContent = error.message;
  };
  let configurator;
  try {
    configurator = await Cartwright.start({
      embed,
      elements: { viewer: by('viewer'), options: by('options'), price: by('price') },
      on: {
        loaded: saw('loaded'),
        failed: saw('failed'),
        word: saw('word'),
        warning: (error) => saw('warning')(error.message),
        progress: (percent) => {
          saw('progress')(percent);
          by('progress').value = percent;
        },
        'variation-changed': (variation) => {
          saw('variation-changed')(variation);
          by('price').textContent = `${variation.sku} · €${variation.price}`;
        },
      },
      timeouts: { load: limit, save: limit },
    });
  } catch (error) {
    fault(error);
    return;
  }
  by('progress').value = 100;
  window.configurator = configurator;
  by('add').textContent = configurator.action === 'add-to-cart' ? 'Add to cart' : 'Request a quotation';
  by('add').disabled = false;
  const add = async () => {
    try {
      await fetch('/saved', { method: 'POST', body: await configurator.save() });
      by('message').textContent = 'It is in your cart.';
      document.body.dataset.saved = 'yes';
    } catch (error) {
      fault(error);
    }
  };
  by('add').addEventListener('click', add);
  // The configurator's own button may be pressed several times.
  by('add').hidden = configurator.hasOwnButton;
  while (configurator.hasOwnButton && !document.body.dataset.fault) await add();
})();
