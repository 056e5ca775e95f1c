// A place to choose, drop or draw images. The chosen files are one JSON text, [[name, base64], ...], in props.value.
// It goes to the server inside the request that uses it, never through an upload folder.
const box = () => element.querySelector('.pick')
const tell = (text, bad) => {
  const message = element.querySelector('.message')
  message.textContent = text
  message.classList.toggle('bad', Boolean(bad))
}
const inWords = bytes => bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`
const read = file => new Promise((done, fail) => {
  const reader = new FileReader()
  reader.onload = () => done([file.name, reader.result.split(',')[1] ?? ''])
  reader.onerror = () => fail(reader.error)
  reader.readAsDataURL(file)
})

// Why these files cannot be sent, or nothing
function faultOf(files) {
  const { maxFiles, maxFileBytes, maxTotalBytes } = box().dataset
  const large = files.find(file => file.size > maxFileBytes)
  const total = files.reduce((sum, file) => sum + file.size, 0)
  if (files.length > maxFiles) return `${files.length} files; at most ${maxFiles} here`
  if (large) return `${large.name}: ${inWords(large.size)}; at most ${inWords(maxFileBytes)} a file`
  if (total > maxTotalBytes) return `${inWords(total)} together; at most ${inWords(maxTotalBytes)} at once`
}

async function take(files) {
  if (!files.length) return
  const fault = faultOf(files)
  if (fault) return tell(fault, true)
  try { props.value = JSON.stringify(await Promise.all(files.map(read))) }
  catch { return tell('the browser could not read that', true) }
  const what = files.length === 1 ? files[0].name : `${files.length} files`
  const total = files.reduce((sum, file) => sum + file.size, 0)
  if (box().dataset.atOnce === 'yes') {
    tell('')
    trigger('upload')
  } else tell(`${what}, ${inWords(total)}`)
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

// Drawing, where there is a canvas: a black pen on white paper, whose line is thinner when it moves fast
let last = null // where the pen was, while it is down
const penAt = event => {
  const canvas = event.target
  const shown = canvas.getBoundingClientRect()
  const x = (event.clientX - shown.left) * canvas.width / shown.width
  const y = (event.clientY - shown.top) * canvas.height / shown.height
  return { x, y, time: event.timeStamp }
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
  last = penAt(event)
})
element.addEventListener('pointermove', event => {
  if (!last || !event.target.matches('canvas')) return
  const paper = event.target.getContext('2d')
  const next = penAt(event)
  const speed = Math.hypot(next.x - last.x, next.y - last.y) / Math.max(1, next.time - last.time)
  paper.lineCap = 'round'
  paper.lineWidth = Math.max(2.5, 5.5 - speed)
  paper.beginPath()
  paper.moveTo(last.x, last.y)
  paper.lineTo(next.x, next.y)
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
