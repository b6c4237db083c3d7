// The search of the theme runs in a Worker, which browsers refuse to pages that are read from disk. There a hidden
// frame takes its place: the script runs in the frame, and messages go to and fro.
if (location.protocol === "file:") {
  window.IFrameWorker = window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.appendChild(this.frame);
      this.inner = this.frame.contentWindow;
      const load = src => new Promise((done, failed) => {
        const script = this.inner.document.createElement("script");
        script.src = src;
        script.onload = done;
        script.onerror = failed;
        this.inner.document.body.appendChild(script);
      });
      this.inner.importScripts = (...urls) => urls.reduce((before, u) => before.then(() => load(u)), Promise.resolve());
      this.inner.postMessage = data => {
        const event = new MessageEvent("message", {data});
        this.dispatchEvent(event);
        if (this.onmessage) this.onmessage(event);
      };
      this.ready = load(url);
    }
    postMessage(data) {
      this.ready.then(() => this.inner.dispatchEvent(new this.inner.MessageEvent("message", {data})));
    }
    terminate() {
      this.frame.remove();
    }
  };
}
