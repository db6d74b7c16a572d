/**
 * The reference clip beside a sample, looping in step, and a scrubber over all samples. Videos, or
 * pictures where a sample is one.
 *
 * @typedef {import('./run_state.js').Run} Run
 * @typedef {import('./texts.js').Translate} Translate
 */
import { element, setAttribute, setText } from './elements.js'
import { whole } from './format.js'
import { sampleShown } from './sample_choice.js'

/** Seconds by which two videos may be apart before one is set right. */
const DRIFT = 0.08

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
    /** The step that was chosen, null to follow the latest. @type {number | null} */
    this.chosen = null
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
      'aria-pressed': 'false',
      onclick: () => this.toggle()
    })
    this.still.textContent = this.translate('panel.hold')
    this.element = element('div', { class: 'player', hidden: true }, [
      element('div', { class: 'pair' }, [this.reference.figure, this.sample.figure]),
      element('div', { class: 'scrub' }, [this.still, this.scrubber])
    ])
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) this.toggle()
    this.sample.video.addEventListener('timeupdate', () => this.follow())
    this.reference.video.addEventListener('seeked', () => this.follow())
  }

  /**
   * @param {string} kind
   * @param {string} label
   */
  figure(kind, label) {
    const video = element('video', { muted: true, loop: true, playsinline: true, autoplay: true })
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
    this.element.hidden = run === null || (shown === null && run.reference === null)
    if (run === null) return
    this.show(this.reference, run.reference, this.translate('panel.reference'))
    this.reference.figure.hidden = run.reference === null
    this.showSample(run, shown)
  }

  /**
   * @param {Run} run
   * @param {{index: number, step: number, file: string} | null} shown
   */
  showSample(run, shown) {
    const step = shown ? whole(shown.step, this.locale) : ''
    const caption = shown
      ? this.translate('panel.sampleAt', { step })
      : this.translate('panel.noSample')
    this.show(this.sample, shown?.file ?? null, caption)
    this.scrubber.parentElement.hidden = shown === null
    setAttribute(this.scrubber, 'max', Math.max(0, run.samples.length - 1))
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
    setSource(part.video, isVideo ? url : '')
    part.video.autoplay = !this.held()
    setSource(part.image, isVideo ? '' : url)
  }

  scrubbed() {
    const samples = this.run?.samples ?? []
    const index = Number(this.scrubber.value)
    this.chosen = index === samples.length - 1 ? null : (samples[index]?.step ?? null)
    this.update(this.run)
  }

  held() {
    return this.still.getAttribute('aria-pressed') === 'true'
  }

  /** Stops both, or lets both go on. */
  toggle() {
    const held = !this.held()
    this.still.setAttribute('aria-pressed', String(held))
    for (const { video } of [this.reference, this.sample]) {
      if (held) video.pause()
      else video.play()?.catch(() => {})
    }
  }

  /** Sets the reference to the part of its length at which the sample is. */
  follow() {
    const [sample, reference] = [this.sample.video, this.reference.video]
    if (!(sample.duration > 0) || !(reference.duration > 0)) return
    const wanted = (sample.currentTime / sample.duration) * reference.duration
    reference.playbackRate = reference.duration / sample.duration
    const apart = Math.abs(reference.currentTime - wanted)
    if (Math.min(apart, reference.duration - apart) > DRIFT) reference.currentTime = wanted
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
