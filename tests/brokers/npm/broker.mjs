// aedes on one port of the loopback, until it is ended; what it needs lies in the folder named by AEDES.
import { createServer } from 'node:net'
import { createRequire } from 'node:module'

const { Aedes } = createRequire(`${process.env.AEDES}/package.json`)('aedes')
const aedes = await Aedes.createBroker()
createServer(aedes.handle).listen(Number(process.argv[2]), '127.0.0.1')
