import type { Server } from 'node:net';
import { NoriError } from 'nori-raft';
import { splitAddress } from '../router/topology.ts';

/** Resolves to the port really bound. `what` names the port in the error. */
export function listen(server: Server, address: string, what: string): Promise<number> {
  const { host, port } = splitAddress(address);
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => reject(listenError(error, address, what));
    server.once('error', onError);
    server.listen({ host, port }, () => {
      server.off('error', onError);
      const bound = server.address();
      resolve(typeof bound === 'object' && bound !== null ? bound.port : port);
    });
  });
}

export function listenError(error: NodeJS.ErrnoException, address: string, what: string): NoriError {
  if (error.code === 'EADDRINUSE') {
    return new NoriError('ADDRESS_IN_USE', {
      message: `the ${what} address ${address} is already in use`,
      cause: error,
    });
  }
  return new NoriError('ADDRESS_INVALID', {
    message: `cannot listen on the ${what} address ${address}: ${error.code ?? error.message}`,
    remedy: 'choose an address of this machine and a port this user may open',
    cause: error,
  });
}
