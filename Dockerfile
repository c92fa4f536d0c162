# A static binary and nothing else, so that no base image has to be fetched.
# "make compose-up" builds bin/scheduler; the build context is bin/.
FROM scratch
COPY scheduler /scheduler
USER 65534:65534
ENTRYPOINT ["/scheduler"]
CMD ["demo"]
