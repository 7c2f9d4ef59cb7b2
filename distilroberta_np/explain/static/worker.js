// Runs Python (Pyodide) apart from the page, so that the page stays responsive and a long computation can be stopped.

const pyodideURL = new URL(new URLSearchParams(self.location.search).get("pyodide"), self.location.href).href;
importScripts(`${pyodideURL}pyodide.js`);

async function start() {
  const say = (step) => self.postMessage({ step });
  say("Loading Python …");
  const pyodide = await loadPyodide({ indexURL: pyodideURL });
  say("Loading NumPy …");
  await pyodide.loadPackage("numpy", { messageCallback: () => {} });
  say("Loading the model …");
  const { files } = await (await fetch("site.json")).json();
  await Promise.all(files.map(async (name) => {
    const response = await fetch(name);
    if (!response.ok) throw new Error(`${name}: ${response.status} ${response.statusText}`);
    const path = `/home/pyodide/${name}`;
    pyodide.FS.mkdirTree(path.slice(0, path.lastIndexOf("/")));
    pyodide.FS.writeFile(path, new Uint8Array(await response.arrayBuffer()));
  }));
  return pyodide.runPython("from distilroberta_np.explain.live import Classroom\nClassroom('model')");
}

const classroom = start();
classroom.then(() => self.postMessage({ ready: true }), (error) => self.postMessage({ failed: String(error) }));
self.onmessage = async ({ data: { text, code } }) => {
  self.postMessage({ result: JSON.parse((await classroom).answer(text, code)) });
};
