// A place to choose, drop or draw images. What was chosen is one JSON text, [[name, base64], ...], in props.value:
// it goes to the server inside the request that uses it and never through an upload folder.
const box = () => element.querySelector('.pick')
const tell = (text, bad) => {
  const told = element.querySelector('.told')
  told.textContent = text
  told.classList.toggle('bad', Boolean(bad))
}
const size = bytes => bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`
const read = file => new Promise((done, fail) => {
  const reader = new FileReader()
  reader.onload = () => done([file.name, reader.result.split(',')[1] ?? ''])
  reader.onerror = () => fail(reader.error)
  reader.readAsDataURL(file)
})

async function take(files) {
  const { most, bytes, total, now } = box().dataset
  const large = files.find(file => file.size > bytes)
  const sum = files.reduce((n, file) => n + file.size, 0)
  if (!files.length) return
  if (files.length > most) return tell(`${files.length} files; at most ${most} here`, true)
  if (large) return tell(`${large.name}: ${size(large.size)}; at most ${size(bytes)} a file`, true)
  if (sum > total) return tell(`${size(sum)} together; at most ${size(total)} at once`, true)
  try { props.value = JSON.stringify(await Promise.all(files.map(read))) }
  catch { return tell('the browser could not read that', true) }
  tell(now ? '' : `${files.length === 1 ? files[0].name : files.length + ' files'}, ${size(sum)}`)
  if (now) trigger('upload')
}

element.addEventListener('change', event => {
  if (!event.target.matches('input[type=file]')) return
  take([...event.target.files])
  event.target.value = '' // so that the same file can be chosen again
})
for (const name of ['dragenter', 'dragover', 'dragleave', 'drop']) element.addEventListener(name, event => {
  event.preventDefault()
  event.stopPropagation()
  box().classList.toggle('over', name === 'dragenter' || name === 'dragover')
  if (name === 'drop') take([...event.dataTransfer.files])
})

// Drawing, where there is a canvas: black pen on white paper, thinner when it is quick, as a pen is
let last = null
const pen = event => {
  const canvas = event.target, page = canvas.getBoundingClientRect()
  return [(event.clientX - page.left) * canvas.width / page.width, (event.clientY - page.top) * canvas.height / page.height, event.timeStamp]
}
const wipe = canvas => {
  const paper = canvas.getContext('2d')
  paper.fillStyle = 'white'
  paper.fillRect(0, 0, canvas.width, canvas.height)
  delete canvas.dataset.drawn
}
element.addEventListener('pointerdown', event => {
  if (!event.target.matches('canvas')) return
  event.preventDefault()
  event.target.setPointerCapture(event.pointerId)
  if (!event.target.dataset.drawn) wipe(event.target)
  last = pen(event)
})
element.addEventListener('pointermove', event => {
  if (!last || !event.target.matches('canvas')) return
  const paper = event.target.getContext('2d'), next = pen(event)
  const speed = Math.hypot(next[0] - last[0], next[1] - last[1]) / Math.max(1, next[2] - last[2])
  paper.lineCap = 'round'
  paper.lineWidth = Math.max(2.5, 5.5 - speed)
  paper.beginPath()
  paper.moveTo(last[0], last[1])
  paper.lineTo(next[0], next[1])
  paper.stroke()
  event.target.dataset.drawn = 'yes'
  last = next
})
for (const name of ['pointerup', 'pointercancel']) element.addEventListener(name, () => { last = null })
element.addEventListener('click', event => {
  const canvas = element.querySelector('canvas')
  if (event.target.matches('.use')) {
    if (!canvas.dataset.drawn) return tell('nothing is drawn yet', true)
    canvas.toBlob(blob => take([new File([blob], 'drawing.png')]).then(() => wipe(canvas)))
  }
  if (event.target.matches('.wipe')) wipe(canvas)
})
