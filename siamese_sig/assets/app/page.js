() => {
  // For screen readers: what changes is said, what folds says whether it is open
  for (const id of ['result', 'scores', 'known-errors', 'questioned-errors']) document.getElementById(id)?.setAttribute('aria-live', 'polite')
  for (const button of document.querySelectorAll('.gr-accordion > .label-wrap')) {
    button.setAttribute('aria-expanded', 'false')
    button.addEventListener('click', () => button.setAttribute('aria-expanded', String(button.getAttribute('aria-expanded') !== 'true')))
  }
}
