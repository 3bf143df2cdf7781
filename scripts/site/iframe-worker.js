// A page that is opened from a disk may start no worker: its search runs in a hidden frame instead.
if (location.protocol === "file:")
  window.Worker = class extends EventTarget {
    constructor(address) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.documentElement.append(frame)
      const inside = frame.contentWindow
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }))
      this.started = new Promise((resolve) => {
        const script = inside.document.createElement("script")
        script.src = address
        script.onload = () => resolve(inside)
        inside.document.body.append(script)
      })
    }

    async postMessage(data) {
      ;(await this.started).dispatchEvent(new MessageEvent("message", { data }))
    }
  }
