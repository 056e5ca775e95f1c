() => {
  // Screen readers read out what changes in these places
  for (const id of ['result', 'scores', 'known-errors', 'questioned-errors']) {
    document.getElementById(id)?.setAttribute('aria-live', 'polite')
  }
  // Gradio's accordions do not say whether they are open
  for (const button of document.querySelectorAll('.gr-accordion > .label-wrap')) {
    button.setAttribute('aria-expanded', 'false')
    button.addEventListener('click', () => {
      const open = button.getAttribute('aria-expanded') === 'true'
      button.setAttribute('aria-expanded', String(!open))
    })
  }
}
