// A vendor in a frame: it speaks by messages alone.
addEventListener('message', ({ data, source, origin }) => {
  const say = (message) => source.postMessage(message, origin);
  if (data.type === 'start') {
    say('ready');
    say(JSON.stringify({ type: 'word', word: data.product }));
  }
  if (data.type === 'save') say({ event: 'saved', id: 11 });
  // The shopper pressed the frame's own button.
  if (data.type === 'press') say(JSON.stringify({ action: 'createQuotation', argument: data.id }));
});
