# Two images: `zooid`, the command with the storage server, and `example`, a service that embeds a client.
#
#     docker build --target zooid -t zooid .
#     docker build --target example -t zooid-example .

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
COPY examples/cities/package.json examples/cities/
RUN npm ci --no-audit --no-fund
COPY . .
RUN ["node", "node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"]

FROM node:24-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --workspaces=false --no-audit --no-fund

# What the example needs beside.
FROM packages AS example-packages
COPY examples/cities/package.json examples/cities/
RUN npm ci --omit=dev --no-audit --no-fund

FROM node:24-bookworm-slim AS runtime
ENV NODE_ENV=production
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json ./
RUN chmod +x dist/cli/zooid.js && ln -s /app/dist/cli/zooid.js /usr/local/bin/zooid

FROM runtime AS zooid
# A named volume takes over the owner of the folder it is mounted on.
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
ENTRYPOINT ["node", "dist/cli/zooid.js"]
CMD ["serve", "--data", "/data"]

FROM runtime AS example
COPY --from=example-packages /app/node_modules node_modules
RUN mkdir /cache && chown node:node /cache
USER node
VOLUME /cache
EXPOSE 4281
ENTRYPOINT ["node", "dist/examples/cities/run-service.js"]
