// The SDKs of the matrix, and how each is made ready on this machine.
// What is written here is which; their versions are asked of what was installed.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const HERE = fileURLToPath(new URL('..', import.meta.url));
const DRIVERS = path.join(HERE, 'drivers');
// Not in git.
const BUILD = path.join(HERE, 'build');

// A package registry that answers slowly is waited for, one that hangs is not.
const INSTALL_MS = 240_000;

// An SDK that this machine can't run: the reason, for people.
export class NotRun extends Error {}

// `name` is for the command line, `title` for the table; `prepare` gives the
// driver's command. `lacks` lists the transports that the SDK can't use alone; `readsAsciiOnly`
// marks an SDK that reads only ASCII text on a WebSocket (in Python 3).
export const SDKS = [
  ...['1', '2', '3'].map((major) => javascript(major, `socket.io-client-${major}`)),
  javascript('4', 'socket.io-client'),
  java('1.0.2'),
  java('2.1.2'),
  python('4'),
  python('5'),
  socketioClient('socketIO-client', '0.7.2', 'socketIO_client'),
  { ...socketioClient('socketIO-client-2', '0.7.5', 'socketIO_client'), readsAsciiOnly: true },
  // It reads text framing only, but does not ask for it by itself.
  socketioClient('socketIO-client-nexus', '0.7.6', 'socketIO_client_nexus', 'b64=1'),
];

// The packages are those that `run` has installed from the lock file.
function javascript(major, packageName) {
  return {
    name: `javascript-${major}`,
    title: 'JavaScript: socket.io-client',
    prepare: async () => {
      if (!existsSync(path.join(HERE, 'node_modules', packageName))) {
        throw new NotRun(`node_modules/${packageName} is missing: npm ci`);
      }
      return [process.execPath, path.join(DRIVERS, 'javascript/driver.js'), packageName];
    },
  };
}

function java(version) {
  return {
    name: `java-${version[0]}`,
    title: 'Java, Android: io.socket:socket.io-client',
    prepare: async () => {
      const sources = path.join(DRIVERS, 'java');
      const folder = path.join(BUILD, `java-${version}`);
      const classpath = [folder, path.join(folder, 'jars', '*')].join(path.delimiter);
      await once(folder, [path.join(sources, 'pom.xml'), path.join(sources, 'Driver.java')], async () => {
        await tool('javac', ['--release', '17', '-version'], 'a JDK of version 17 or newer');
        await tool('mvn', ['-version'], 'Maven');
        await install('mvn', [
          '-q', '-B', '--strict-checksums', '-f', path.join(sources, 'pom.xml'),
          'dependency:copy-dependencies', `-Dsdk.version=${version}`,
          `-DoutputDirectory=${path.join(folder, 'jars')}`,
        ]);
        await run('javac', [
          '--release', '17', '-cp', classpath, '-d', folder, path.join(sources, 'Driver.java'),
        ]);
      });
      await tool('java', ['-version'], 'a JDK of version 17 or newer');
      // A short life: the quick compiler is enough, and leaves the cores to others.
      return ['java', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-cp', classpath, 'Driver'];
    },
  };
}

function python(major) {
  return {
    name: `python-${major}`,
    title: 'Python: python-socketio',
    prepare: async () => {
      const program = await environment(`python-${major}`, [`requirements-${major}.txt`]);
      return [program, path.join(DRIVERS, 'python/driver.py')];
    },
  };
}

// The clients before python-socketio, of 2015 to 2019, and their forks. They open a session
// by polling, whatever the options say, and then upgrade.
function socketioClient(packageName, version, module, query = '') {
  return {
    name: packageName,
    title: `Python: ${packageName}${query && ` (${query})`}`,
    lacks: ['websocket'],
    prepare: async () => {
      const dependencies = 'requirements-socketIO-client.txt';
      const program = await environment(
        `${packageName}-${version}`, [dependencies], `${packageName}==${version}`,
      );
      const driver = path.join(DRIVERS, 'python/socketio_client_driver.py');
      return [program, driver, packageName, module, query];
    },
  };
}

// A virtual environment with these packages; returns its interpreter.
async function environment(name, requirements, ...packages) {
  const files = requirements.map((file) => path.join(DRIVERS, 'python', file));
  const folder = path.join(BUILD, name);
  const program = path.join(folder, 'bin/python');
  await once(folder, files, async () => {
    await tool('python3', ['-c', 'import venv, ensurepip'], 'Python 3 with venv');
    await run('python3', ['-m', 'venv', folder]);
    await install(program, [
      '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check',
      ...files.flatMap((file) => ['-r', file]), ...packages,
    ]);
  });
  await tool(program, ['-c', ''], 'the Python that the environment was made with');
  return program;
}

// Builds a folder if it is not there as these sources want it.
async function once(folder, sources, build) {
  const sum = createHash('sha256');
  for (const source of sources) {
    sum.update(await readFile(source));
  }
  const wanted = sum.digest('hex');
  const stamp = path.join(folder, 'built');
  if ((await readFile(stamp, 'utf8').catch(() => '')) === wanted) {
    return;
  }
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await build();
  await writeFile(stamp, wanted);
}

async function tool(program, args, what) {
  await run(program, args).catch((error) => {
    throw new NotRun(`${what} is missing (${firstLine(error)})`);
  });
}

async function install(program, args) {
  await run(program, args).catch((error) => {
    throw new NotRun(`its packages can't be installed (${firstLine(error)})`);
  });
}

async function run(program, args) {
  try {
    return await promisify(execFile)(program, args, { timeout: INSTALL_MS });
  } catch (error) {
    // Maven writes what went wrong to stdout.
    const said = `${error.stderr ?? ''}${error.stdout ?? ''}`.trim();
    throw new Error(said || error.message);
  }
}

function firstLine(error) {
  return error.message.split('\n')[0];
}
