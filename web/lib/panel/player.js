/**
 * The reference clip beside a sample, looping in step, and a scrubber over all samples. Videos, or
 * pictures where a sample is one.
 *
 * @typedef {import('../runs/run_state.js').Run} Run
 * @typedef {import('../text/texts.js').Translate} Translate
 */
import { element, setAttribute, setText } from '../page/elements.js'
import { whole } from '../text/format.js'
import { sampleShown } from './sample_choice.js'

/** Seconds by which two videos may be apart before one is set right. */
const DRIFT = 0.08
/** What browsers play at; outside they throw. */
const RATES = { slowest: 1 / 16, fastest: 16 }

export class SamplePlayer {
  /**
   * @param {Translate} translate
   * @param {string} locale
   * @param {(run: Run, file: string) => string} url
   */
  constructor(translate, locale, url) {
    this.translate = translate
    this.locale = locale
    this.url = url
    /** @type {Run | null} */
    this.run = null
    /** The file that was chosen, null to follow the latest. @type {string | null} */
    this.chosen = null
    /** Where the reference was set to last: what cannot be reached is not tried for ever. */
    this.sought = NaN
    this.build()
  }

  build() {
    this.reference = this.figure('reference', this.translate('panel.reference'))
    this.sample = this.figure('sample', this.translate('panel.sample'))
    this.scrubber = element('input', {
      type: 'range',
      min: '0',
      step: '1',
      'aria-label': this.translate('panel.scrubber'),
      oninput: () => this.scrubbed()
    })
    this.still = element('button', {
      type: 'button',
      class: 'still',
      'aria-pressed': String(matchMedia('(prefers-reduced-motion: reduce)').matches),
      text: this.translate('panel.hold'),
      onclick: () => this.toggle()
    })
    this.element = element('div', { class: 'player', hidden: true }, [
      element('div', { class: 'pair' }, [this.reference.figure, this.sample.figure]),
      element('div', { class: 'scrub' }, [this.still, this.scrubber])
    ])
    this.sample.video.addEventListener('timeupdate', () => this.follow())
    // While both play, the next timeupdate comes soon; where a seek takes long, one after every
    // other would never end.
    this.reference.video.addEventListener('seeked', () => this.sample.video.paused && this.follow())
    // A browser stops a video that leaves the page, and does not go on when it is there again.
    this.observer = new ResizeObserver(() => this.goOn())
    this.observer.observe(this.element)
  }

  /**
   * @param {string} kind
   * @param {string} label
   */
  figure(kind, label) {
    const video = element('video', { muted: true, loop: true, playsinline: true })
    video.muted = true
    const image = element('img', { alt: label, hidden: true })
    const caption = element('figcaption', { text: label })
    return { figure: element('figure', { class: kind }, [video, image, caption]), video, image, caption }
  }

  /** @param {Run | null} run */
  update(run) {
    if (run?.id !== this.run?.id) this.chosen = null
    this.run = run
    const shown = run ? sampleShown(run.samples, this.chosen) : null
    const reference = run?.reference ?? null
    this.element.hidden = shown === null && reference === null
    this.show(this.reference, reference, this.translate('panel.reference'))
    this.reference.figure.hidden = reference === null
    this.showSample(run?.samples ?? [], shown)
  }

  /**
   * @param {import('../runs/run_state.js').Sample[]} samples
   * @param {{index: number, step: number, file: string} | null} shown
   */
  showSample(samples, shown) {
    const step = shown ? whole(shown.step, this.locale) : ''
    const caption = shown
      ? this.translate('panel.sampleAt', { step })
      : this.translate('panel.noSample')
    this.show(this.sample, shown?.file ?? null, caption)
    this.scrubber.parentElement.hidden = shown === null
    this.scrubber.hidden = samples.length < 2
    setAttribute(this.scrubber, 'max', Math.max(0, samples.length - 1))
    this.scrubber.value = String(shown?.index ?? 0)
    setAttribute(this.scrubber, 'aria-valuetext', caption)
  }

  /**
   * @param {ReturnType<SamplePlayer['figure']>} part
   * @param {string | null} file
   * @param {string} caption
   */
  show(part, file, caption) {
    setText(part.caption, caption)
    const url = file && this.run ? this.url(this.run, file) : ''
    if (part.url === url) return
    part.url = url
    const isVideo = /\.(mp4|webm)$/.test(file ?? '')
    part.video.hidden = !isVideo
    part.image.hidden = isVideo || !url
    part.image.alt = caption
    part.video.setAttribute('aria-label', caption)
    part.video.autoplay = !this.held()
    setSource(part.video, isVideo ? url : '')
    setSource(part.image, isVideo ? '' : url)
  }

  scrubbed() {
    const samples = this.run?.samples ?? []
    const index = Number(this.scrubber.value)
    this.chosen = index === samples.length - 1 ? null : (samples[index]?.file ?? null)
    this.update(this.run)
  }

  held() {
    return this.still.getAttribute('aria-pressed') === 'true'
  }

  /** Stops both, or lets both go on. */
  toggle() {
    this.still.setAttribute('aria-pressed', String(!this.held()))
    for (const { video } of [this.reference, this.sample]) video.pause()
    this.goOn()
  }

  goOn() {
    if (this.held() || !this.element.isConnected) return
    for (const { video } of [this.reference, this.sample]) {
      if (video.paused && video.hasAttribute('src')) video.play().catch(() => {})
    }
  }

  /** Sets the reference to the part of its length at which the sample is. */
  follow() {
    const [sample, reference] = [this.sample.video, this.reference.video]
    if (!(sample.duration > 0) || !(reference.duration > 0) || reference.seeking) return
    const wanted = (sample.currentTime / sample.duration) * reference.duration
    const rate = reference.duration / sample.duration
    reference.playbackRate = Math.min(RATES.fastest, Math.max(RATES.slowest, rate))
    const apart = Math.abs(reference.currentTime - wanted)
    if (Math.min(apart, reference.duration - apart) <= DRIFT || wanted === this.sought) return
    this.sought = wanted
    reference.currentTime = wanted
  }

  /** Without a source a video holds neither memory nor a connection. */
  destroy() {
    this.observer.disconnect()
    this.update(null)
  }
}

/**
 * @param {HTMLVideoElement | HTMLImageElement} media
 * @param {string} url
 */
function setSource(media, url) {
  if (url) media.setAttribute('src', url)
  else media.removeAttribute('src')
  if (media instanceof HTMLVideoElement) media.load()
}
