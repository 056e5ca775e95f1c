// A shelf of signatures: a press on a Remove button tells the server which one
element.addEventListener('click', event => {
  const button = event.target.closest('[data-item]')
  if (button) trigger('select', {index: Number(button.dataset.item)})
})
