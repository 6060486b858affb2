// The moving pass on its holder's phone: KP1: base45(CBOR [envelope, step, signature]), signed anew every ten seconds.
//
// The phone's key is made here and cannot be taken out: the browser keeps it, and signs with it. The pass comes as a link or
// as text and is public. Nothing is fetched and nothing is sent. kiosk/credential/personal_pass.py is the other side.
"use strict";

(() => {
  const STEP_MS = 10_000;
  const QUIET_MODULES = 4;
  const PREFIX = "KP1:";
  const STEP_PURPOSE = "kiosk-pass-step-1";
  const PHONE_PURPOSE = "kiosk-phone-1";
  const PHONE_DIGITS = 87; // 32 bytes of key and 4 of its hash
  const PASS_NUMBER = 7, EXPIRES = 4, HOLDER_NUMBER = 2, HOLDER = -70_001;
  const BASE45 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
  const LONGEST_PASS = 2000;

  const at = (id) => document.getElementById(id);
  const ascii = (text) => new TextEncoder().encode(text);
  const joined = (...parts) => {
    const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
    parts.reduce((start, part) => (whole.set(part, start), start + part.length), 0);
    return whole;
  };
  const same = (some, others) => some.length === others.length && some.every((byte, place) => byte === others[place]);

  class Refusal extends Error {
    constructor(vi, en) {
      super(en);
      this.vi = vi;
    }
  }

  // --- forms ---------------------------------------------------------------------------------------------------------

  function base45(bytes) {
    let text = "";
    for (let start = 0; start < bytes.length; start += 2) {
      const pair = start + 1 < bytes.length;
      let value = pair ? bytes[start] * 256 + bytes[start + 1] : bytes[start];
      for (let count = pair ? 3 : 2; count > 0; count -= 1) {
        text += BASE45[value % 45];
        value = Math.floor(value / 45);
      }
    }
    return text;
  }

  function unbase45(text) {
    const bytes = [];
    for (let start = 0; start < text.length; start += 3) {
      const places = [...text.slice(start, start + 3)].map((letter) => BASE45.indexOf(letter));
      const value = places.reduceRight((sum, place) => sum * 45 + place, 0);
      if (places.includes(-1) || places.length === 1 || value >= (places.length === 3 ? 65536 : 256)) throw new Error("base45");
      bytes.push(...(places.length === 3 ? [value >> 8, value & 255] : [value]));
    }
    return Uint8Array.from(bytes);
  }

  function unbase64url(text) {
    return Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
  }

  function head(major, value) {
    if (value < 24) return Uint8Array.of((major << 5) | value);
    const size = value < 0x100 ? 0 : value < 0x10000 ? 1 : 2;
    const bytes = new Uint8Array(1 + (1 << size));
    bytes[0] = (major << 5) | (24 + size);
    for (let place = bytes.length - 1, rest = value; place > 0; place -= 1) {
      bytes[place] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    return bytes;
  }

  // One CBOR item of those that a pass is made of: numbers, bytes, text, arrays, maps, tags, null.
  function uncbor(bytes) {
    let place = 0;
    const take = (count) => {
      if (place + count > bytes.length) throw new Error("CBOR");
      place += count;
      return bytes.subarray(place - count, place);
    };
    const item = (depth) => {
      const first = take(1)[0];
      const major = first >> 5, extra = first & 31;
      if (extra > 27 || depth > 6) throw new Error("CBOR");
      const value = extra < 24 ? extra : take(1 << (extra - 24)).reduce((sum, byte) => sum * 256 + byte, 0);
      if (major === 0) return value;
      if (major === 1) return -1 - value;
      if (major === 2) return take(value);
      if (major === 3) return new TextDecoder().decode(take(value));
      if (major === 4) return Array.from({ length: Math.min(value, bytes.length) }, () => item(depth + 1));
      if (major === 5) {
        return new Map(Array.from({ length: Math.min(value, bytes.length) }, () => [item(depth + 1), item(depth + 1)]));
      }
      if (major === 6) return item(depth + 1);
      if (first === 0xf6) return null;
      throw new Error("CBOR");
    };
    const whole = item(0);
    if (place !== bytes.length) throw new Error("CBOR");
    return whole;
  }

  // --- the pass and the phone's key ----------------------------------------------------------------------------------

  // What a pass says. Its signature is the station's to judge.
  function read(envelope) {
    const claims = uncbor(uncbor(envelope)[2]);
    const [name, , key] = claims.get(HOLDER) || [];
    const number = claims.get(PASS_NUMBER).reduce((sum, byte) => sum * 256 + byte, 0);
    return { envelope, number, holder: claims.get(HOLDER_NUMBER), name, key, expiresMs: claims.get(EXPIRES) * 1000 };
  }

  // A code may have lost a space at its end on the way; base45 has spaces.
  function passOf(text) {
    const code = text.slice(0, LONGEST_PASS).replace(/^\s+|[\r\n\t]+$/g, "");
    for (const each of [code, code.trimEnd(), `${code.trimEnd()} `]) {
      try {
        return read(each.startsWith(PREFIX) ? unbase45(each.slice(PREFIX.length)) : unbase64url(each.slice(each.lastIndexOf("#") + 1)));
      } catch {
        continue;
      }
    }
    throw new Refusal("Đây không phải là thẻ.", "This is no pass.");
  }

  function forThisPhone(pass, publicKey) {
    if (!pass.key) throw new Refusal("Thẻ này không gắn với điện thoại nào.", "This pass is bound to no phone.");
    if (!same(pass.key, publicKey)) {
      throw new Refusal(
        "Thẻ này dành cho máy khác hoặc trình duyệt khác.",
        "This pass is for another phone, or for another browser on it.",
      );
    }
    return pass;
  }

  async function phoneNumber(publicKey) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", joined(ascii(PHONE_PURPOSE), publicKey)));
    const value = joined(publicKey, digest.subarray(0, 4)).reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
    return "1" + value.toString().padStart(PHONE_DIGITS, "0");
  }

  async function moving(pass, key, step) {
    const number = new Uint8Array(8);
    new DataView(number.buffer).setBigUint64(0, BigInt(step));
    const signed = joined(ascii(STEP_PURPOSE), number, pass.envelope);
    const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", key, signed));
    const parts = [head(2, pass.envelope.length), pass.envelope, head(0, step), head(2, signature.length), signature];
    return PREFIX + base45(joined(head(4, 3), ...parts));
  }

  // --- what the browser keeps ----------------------------------------------------------------------------------------

  function asked(request) {
    return new Promise((done, failed) => {
      request.onsuccess = () => done(request.result);
      request.onerror = () => failed(request.error);
    });
  }

  async function opened() {
    const request = indexedDB.open("kiosk-pass", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("kept");
    return asked(request);
  }

  const keep = (db, name, value) => asked(db.transaction("kept", "readwrite").objectStore("kept").put(value, name));
  const kept = (db, name) => asked(db.transaction("kept").objectStore("kept").get(name));

  async function phoneKey(db) {
    const there = await kept(db, "key");
    if (there) return there;
    const made = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
    await keep(db, "key", made);
    return kept(db, "key");
  }

  // --- what is seen --------------------------------------------------------------------------------------------------

  function see(section) {
    for (const each of ["fault", "show", "enrol"]) at(each).hidden = each !== section;
  }

  function fault(vi, en) {
    at("fault-vi").textContent = vi;
    at("fault-en").textContent = en;
    see("fault");
  }

  // Whole pixels for every module, so that none is blurred; never wider than the words beside it.
  function draw(canvas, text, mode) {
    const code = qrcode(0, "M");
    code.addData(text, mode);
    code.make();
    const modules = code.getModuleCount();
    const side = Math.min(canvas.parentElement.clientWidth, window.innerHeight * 0.8) * devicePixelRatio;
    const scale = Math.max(2, Math.floor(side / (modules + 2 * QUIET_MODULES)));
    canvas.width = canvas.height = scale * (modules + 2 * QUIET_MODULES);
    canvas.style.width = `${canvas.width / devicePixelRatio}px`;
    const paint = canvas.getContext("2d");
    paint.fillStyle = "#fff";
    paint.fillRect(0, 0, canvas.width, canvas.height);
    paint.fillStyle = "#000";
    for (let y = 0; y < modules; y += 1) {
      for (let x = 0; x < modules; x += 1) {
        if (code.isDark(y, x)) paint.fillRect((x + QUIET_MODULES) * scale, (y + QUIET_MODULES) * scale, scale, scale);
      }
    }
  }

  function clear(canvas) {
    canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  }

  async function begin() {
    if (!window.isSecureContext || !window.crypto || !crypto.subtle || !window.indexedDB) {
      return fault("Hãy mở trang này bằng địa chỉ https.", "Open this page by its https address.");
    }
    let db, keys, publicKey;
    try {
      db = await opened();
      keys = await phoneKey(db);
      publicKey = new Uint8Array(await crypto.subtle.exportKey("raw", keys.publicKey));
    } catch {
      return fault(
        "Trình duyệt này không giữ được khóa của thẻ. Hãy cập nhật trình duyệt, và không dùng chế độ riêng tư.",
        "This browser cannot keep the pass’s key. Update it, and leave its private mode.",
      );
    }
    if (navigator.storage && navigator.storage.persist) navigator.storage.persist().catch(() => {});
    // A page from a disk has no place on the home screen, and browsers complain of what it asks for beside itself.
    if (location.protocol.startsWith("http")) {
      const manifest = document.createElement("link");
      manifest.rel = "manifest";
      manifest.href = "manifest.webmanifest";
      document.head.append(manifest);
      if ("serviceWorker" in navigator) navigator.serviceWorker.register("worker.js").catch(() => {});
    }

    const digits = await phoneNumber(publicKey);
    at("digits").textContent = digits.match(/.{4}/g).join(" ");

    let pass = null;
    let shownStep = 0;
    let lock = null;

    async function tick() {
      if (!pass || at("show").hidden || document.hidden) return;
      const nowMs = Date.now();
      const now = new Date(nowMs);
      at("clock").textContent = now.toLocaleTimeString("vi-VN", { hour12: false });
      at("left").value = (STEP_MS - (nowMs % STEP_MS)) / 1000;
      at("state").hidden = nowMs <= pass.expiresMs;
      const step = Math.floor(nowMs / STEP_MS);
      if (step === shownStep) return;
      shownStep = step;
      const code = await moving(pass, keys.privateKey, step);
      if (step === shownStep) draw(at("code"), code, "Alphanumeric");
    }

    async function stayAwake() {
      if (document.hidden || at("show").hidden || !("wakeLock" in navigator) || (lock && !lock.released)) return;
      lock = await navigator.wakeLock.request("screen").catch(() => null);
    }

    function show() {
      at("holder").textContent = pass.name || pass.holder || `P${pass.number}`;
      const until = new Date(pass.expiresMs).toLocaleDateString("vi-VN");
      at("facts").textContent = [pass.name && pass.holder, `P${pass.number}`, `đến / until ${until}`].filter(Boolean).join(" · ");
      at("state").textContent = "Thẻ đã hết hạn. / This pass has expired.";
      shownStep = 0;
      see("show");
      stayAwake();
      return tick();
    }

    function enrol(refusal) {
      at("back").hidden = !pass;
      at("refusal").hidden = !refusal;
      at("refusal").textContent = refusal ? `${refusal.vi} / ${refusal.message}` : "";
      if (lock) lock.release().catch(() => {});
      see("enrol");
      draw(at("phone"), digits, "Numeric");
    }

    async function take(text) {
      try {
        const taken = forThisPhone(passOf(text), publicKey);
        await keep(db, "pass", taken.envelope);
        pass = taken;
      } catch (error) {
        if (error instanceof Refusal) return enrol(error);
        return fault("Không giữ được thẻ: bộ nhớ của trình duyệt đã đầy.", "The pass cannot be kept: the browser's storage is full.");
      }
      at("pass").value = "";
      return show();
    }

    async function takeLink() {
      const link = location.hash.slice(1);
      if (!link) return false;
      history.replaceState(null, "", location.pathname + location.search);
      await take(link);
      return true;
    }

    at("taking").addEventListener("submit", (event) => {
      event.preventDefault();
      take(at("pass").value);
    });
    at("copy").addEventListener("click", () => navigator.clipboard.writeText(at("digits").textContent.replaceAll(" ", "")).catch(() => {}));
    at("other").addEventListener("click", () => enrol());
    at("back").addEventListener("click", () => show());
    window.addEventListener("hashchange", takeLink);
    window.addEventListener("resize", () => {
      shownStep = 0;
      if (!at("enrol").hidden) draw(at("phone"), digits, "Numeric");
    });
    document.addEventListener("visibilitychange", () => {
      shownStep = 0;
      if (document.hidden) clear(at("code"));
      stayAwake();
      tick();
    });
    setInterval(tick, 200);

    const envelope = await kept(db, "pass");
    if (envelope) pass = forThisPhone(read(envelope), publicKey);
    if (await takeLink()) return undefined;
    return pass ? show() : enrol();
  }

  begin().catch(() => fault("Trang này bị lỗi. Hãy mở lại.", "Something went wrong. Open the page again."));
})();
