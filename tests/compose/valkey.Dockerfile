# Stands in for the official valkey image: a real Valkey 8, the same user, folder and entry point.
FROM llamaq-trial-base
COPY valkey-server valkey-cli docker-entrypoint.sh /usr/local/bin/
RUN ln -s valkey-cli /usr/local/bin/redis-cli \
    && useradd --system --uid 999 valkey \
    && mkdir /data \
    && chown valkey:valkey /data
VOLUME /data
WORKDIR /data
EXPOSE 6379
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["valkey-server"]
