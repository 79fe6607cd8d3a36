// What a shop's theme does with cartwright.js: it requests the product's embed data from the host, shows the configurator, and submits
// the saved configuration to the shop's own server. It also updates an order's page while the order changes.
(() => {
  'use strict';

  const by = (id) => document.getElementById(id);

  const configure = async (place) => {
    const { host, shop, product, key, currency, reopen, line } = place.dataset;
    const show = (text) => {
      by('message').textContent = text;
    };
    const fail = (error) => {
      document.body.dataset.fault = error.code || 'unknown';
      show(error.message);
    };
    const money = (amount) => new Intl.NumberFormat('en', { style: 'currency', currency }).format(amount);

    const ask = (body) => fetch(`${host}/v1/shops/${shop}/products/${product}/embed-data`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });

    /** Loads the embed data. If the vendor cannot reopen a configuration, a new one starts. */
    const embedData = async () => {
      let reply = await ask(reopen ? { reopen: JSON.parse(reopen) } : {});
      if (reopen && reply.status === 422) {
        show('This configurator cannot open your configuration again. A new one replaces the item in your cart.');
        reply = await ask({});
      }
      const answer = await reply.json();
      if (!reply.ok) throw new Error(answer.detail);
      return answer;
    };

    const send = async (configurator, action) => {
      const quantity = by('quantity');
      if (!quantity.reportValidity()) return;
      const buttons = [by('add'), by('offer')].filter(Boolean);
      for (const button of buttons) button.disabled = true;
      show('One moment …');
      try {
        const body = { configuration: await configurator.save(), quantity: quantity.valueAsNumber, action, line: line || null };
        const reply = await fetch(location.pathname, {
          method: 'POST',
          headers: { 'Content-Type': 'application/json' },
          body: JSON.stringify(body),
        });
        const { next, error } = await reply.json();
        if (!reply.ok) throw new Error(error);
        location.assign((action === 'cart' && configurator.successPage) || next);
      } catch (error) {
        fail(error);
        for (const button of buttons) button.disabled = false;
      }
    };

    // A configurator may start before it is fully loaded, and reports its progress.
    let percent = 100;
    let markLoaded;
    const fullyLoaded = new Promise((resolve) => {
      markLoaded = resolve;
    });

    try {
      const configurator = await Cartwright.start({
        embed: await embedData(),
        elements: { viewer: by('viewer'), options: by('options'), price: by('price') },
        on: {
          progress: (now) => {
            percent = now;
            by('progress').value = now;
            if (now >= 100) markLoaded();
          },
          'variation-changed': ({ price }) => {
            by('price').textContent = money(price);
          },
        },
      });
      if (percent < 100) await fullyLoaded;
      const isQuoteOnly = configurator.action === 'request-quote';
      if (by('offer')) {
        by('add').hidden = isQuoteOnly;
        by('offer').disabled = false;
        by('offer').addEventListener('click', () => send(configurator, 'quote'));
      }
      by('add').disabled = false;
      by('add').addEventListener('click', () => send(configurator, 'cart'));
    } catch (error) {
      fail(error);
    } finally {
      by('progress').hidden = true;
    }
  };

  /** Polls the page every second, and replaces the part that changed. */
  const follow = (live) => {
    const poll = async () => {
      if (!live.hasAttribute('data-open')) return;
      try {
        const reply = document.hidden ? null : await fetch(location.href);
        const page = reply && reply.ok ? new DOMParser().parseFromString(await reply.text(), 'text/html') : null;
        const changed = page && page.getElementById('live');
        if (changed) live.toggleAttribute('data-open', changed.hasAttribute('data-open'));
        if (changed && changed.innerHTML !== live.innerHTML) {
          const focused = document.activeElement && document.activeElement.id;
          live.replaceChildren(...changed.childNodes);
          if (focused && by(focused)) by(focused).focus();
        }
      } catch (_) {
        // The server is unavailable; the next poll may succeed.
      }
      setTimeout(poll, 1000);
    };
    setTimeout(poll, 1000);
  };

  if (by('configure')) configure(by('configure'));
  if (by('live')) follow(by('live'));
})();
