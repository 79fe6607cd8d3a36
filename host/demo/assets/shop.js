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

    /** The embed data. Not every vendor opens a configuration again: then it is made anew. */
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

    // A configurator may start before all of it is there, and then says how far it is.
    let percent = 100;
    let arrived;
    const allThere = new Promise((resolve) => {
      arrived = resolve;
    });

    try {
      const configurator = await Cartwright.start({
        embed: await embedData(),
        elements: { viewer: by('viewer'), options: by('options'), price: by('price') },
        on: {
          progress: (now) => {
            percent = now;
            by('progress').value = now;
            if (now >= 100) arrived();
          },
          'variation-changed': ({ price }) => {
            by('price').textContent = money(price);
          },
        },
      });
      if (percent < 100) await allThere;
      const only = configurator.action === 'request-quotation';
      if (by('offer')) {
        by('add').hidden = only;
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

  /** Asks for the page again every second, and shows what is new of it. */
  const follow = (live) => {
    const look = async () => {
      if (!live.hasAttribute('data-open')) return;
      try {
        const reply = document.hidden ? null : await fetch(location.href);
        const page = reply && reply.ok ? new DOMParser().parseFromString(await reply.text(), 'text/html') : null;
        const news = page && page.getElementById('live');
        if (news) live.toggleAttribute('data-open', news.hasAttribute('data-open'));
        if (news && news.innerHTML !== live.innerHTML) {
          const focused = document.activeElement && document.activeElement.id;
          live.replaceChildren(...news.childNodes);
          if (focused && by(focused)) by(focused).focus();
        }
      } catch (_) {
        // The server is away: the next look may find it.
      }
      setTimeout(look, 1000);
    };
    setTimeout(look, 1000);
  };

  if (by('configure')) configure(by('configure'));
  if (by('live')) follow(by('live'));
})();
