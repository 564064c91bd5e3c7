// A libcuda.so.1 for machines without a GPU: "device" memory is host memory, and a launch runs the kernel on the CPU.
//
// Modules are shared objects that the stand-in compiler (nvcc beside this file) makes of kernel sources; each kernel K
// comes with a function K__on_host_packed(grid, block, buffer) that runs it over its grid. Everything happens in the
// call that asks for it, so nothing here shows a missing synchronisation. What is checked is what PyCUDA and opalg
// promise the driver: contexts, memory, arguments, streams that wait for each other, and that what is captured into a
// graph may be captured.
//
// Functions that are not defined here come from stubs.c, which is generated and answers CUDA_ERROR_STUB_LIBRARY.
#define _GNU_SOURCE
#include <cuda.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))
#define NEEDS_CONTEXT \
    if (!depth) return CUDA_ERROR_INVALID_CONTEXT
#define FORBIDDEN_IN_CAPTURE \
    if (origin && capture_mode != CU_STREAM_CAPTURE_MODE_RELAXED) return note("forbidden in capture: %s", __func__), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED

enum { devices = 2, most_contexts = 64 };

// ------------------------------------------------------------------------------------------------- what happened
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void note(const char* format, ...) {
    const char* path = getenv("OPALG_STAND_IN_LOG");
    if (!path) return;
    FILE* file = fopen(path, "a");
    if (!file) return;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(file, format, arguments);
    va_end(arguments);
    fputc('\n', file);
    fclose(file);
}

// ------------------------------------------------------------------------------------------------------ contexts
struct CUctx_st {
    int device, references;
};
static struct CUctx_st primary[devices] = {{0, 0}, {1, 0}};
static __thread CUcontext stack[most_contexts];
static __thread int depth;

API CUresult cuInit(unsigned flags) { return (void)flags, CUDA_SUCCESS; }
API CUresult cuDriverGetVersion(int* version) { return *version = CUDA_VERSION, CUDA_SUCCESS; }
API CUresult cuDeviceGetCount(int* count) { return *count = devices, CUDA_SUCCESS; }
API CUresult cuDeviceGet(CUdevice* device, int ordinal) {
    *device = ordinal;
    return ordinal < 0 || ordinal >= devices ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;
}
API CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
    snprintf(name, length, "stand-in %d", device);
    return CUDA_SUCCESS;
}
API CUresult cuDeviceComputeCapability(int* major, int* minor, CUdevice device) {
    (void)device;
    *major = 9, *minor = 0;
    return CUDA_SUCCESS;
}
API CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
    (void)device;
    *value = attribute == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT ? 2 : 1024;
    return CUDA_SUCCESS;
}
API CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
    *context = &primary[device];
    note("retain %d", device);
    return primary[device].references++, CUDA_SUCCESS;
}
API CUresult cuDevicePrimaryCtxRelease(CUdevice device) {
    note("release %d", device);
    return --primary[device].references < 0 ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}
API CUresult cuCtxPushCurrent(CUcontext context) {
    if (depth == most_contexts) return CUDA_ERROR_OUT_OF_MEMORY;
    stack[depth++] = context;
    return CUDA_SUCCESS;
}
API CUresult cuCtxPopCurrent(CUcontext* context) {
    NEEDS_CONTEXT;
    *context = stack[--depth];
    return CUDA_SUCCESS;
}
API CUresult cuCtxGetCurrent(CUcontext* context) {
    *context = depth ? stack[depth - 1] : NULL;
    return CUDA_SUCCESS;
}
API CUresult cuCtxSetCurrent(CUcontext context) {
    if (depth) depth--;
    if (context) stack[depth++] = context;
    return CUDA_SUCCESS;
}
API CUresult cuCtxGetDevice(CUdevice* device) {
    NEEDS_CONTEXT;
    *device = stack[depth - 1]->device;
    return CUDA_SUCCESS;
}

// ------------------------------------------------------------------------------------- streams, events and graphs
// Between begin and end of a capture, launches on the captured stream, and on streams that wait for it, are kept
// instead of run; stand_in_replay runs them.
struct CUstream_st {
    int device, captured, unjoined;
    struct CUstream_st* next;
};
struct CUevent_st {
    CUstream recorded_on;
    int captured;
};
typedef void Packed(const unsigned* grid, const unsigned* block, const char* buffer);
struct CUfunc_st {
    Packed* run;
    char name[128];
};
struct launch {
    Packed* run;
    unsigned grid[3], block[3];
    size_t size;
    char* buffer;
    CUDA_MEMCPY3D copy;
    struct launch* next;
};
static CUstream streams, origin;
static __thread CUstreamCaptureMode capture_mode;
static struct launch *first, **last = &first;

static int is_captured(CUstream stream) { return origin && stream && stream->captured; }
static CUresult legacy_in_capture(CUstream stream) {
    if (!origin || (stream && stream != CU_STREAM_LEGACY)) return CUDA_SUCCESS;
    note("legacy stream used in capture");
    return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
}

API CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* mode) {
    const CUstreamCaptureMode before = capture_mode;
    capture_mode = *mode;
    return *mode = before, CUDA_SUCCESS;
}
API CUresult cuStreamCreate(CUstream* stream, unsigned flags) {
    NEEDS_CONTEXT;
    (void)flags;
    FORBIDDEN_IN_CAPTURE;
    *stream = calloc(1, sizeof **stream);
    (*stream)->device = stack[depth - 1]->device;
    pthread_mutex_lock(&lock);
    (*stream)->next = streams, streams = *stream;
    pthread_mutex_unlock(&lock);
    return CUDA_SUCCESS;
}
API CUresult cuStreamDestroy(CUstream stream) { return (void)stream, CUDA_SUCCESS; }
API CUresult cuStreamSynchronize(CUstream stream) {
    FORBIDDEN_IN_CAPTURE;
    note("synchronize %p", (void*)stream);
    return CUDA_SUCCESS;
}
API CUresult cuStreamQuery(CUstream stream) { return (void)stream, CUDA_SUCCESS; }
API CUresult cuCtxSynchronize(void) {
    NEEDS_CONTEXT;
    FORBIDDEN_IN_CAPTURE;
    note("synchronize all");
    return CUDA_SUCCESS;
}
API CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus* status) {
    *status = is_captured(stream) ? CU_STREAM_CAPTURE_STATUS_ACTIVE : CU_STREAM_CAPTURE_STATUS_NONE;
    return legacy_in_capture(stream);
}
API CUresult cuEventCreate(CUevent* event, unsigned flags) {
    NEEDS_CONTEXT;
    (void)flags;
    FORBIDDEN_IN_CAPTURE;
    *event = calloc(1, sizeof **event);
    return CUDA_SUCCESS;
}
API CUresult cuEventDestroy(CUevent event) { return free(event), CUDA_SUCCESS; }
API CUresult cuEventRecord(CUevent event, CUstream stream) {
    event->recorded_on = stream;
    event->captured = is_captured(stream);
    note("record %p on %p", (void*)event, (void*)stream);
    return legacy_in_capture(stream);
}
API CUresult cuEventSynchronize(CUevent event) {
    (void)event;
    FORBIDDEN_IN_CAPTURE;
    return CUDA_SUCCESS;
}
API CUresult cuEventQuery(CUevent event) { return (void)event, CUDA_SUCCESS; }
API CUresult cuEventElapsedTime(float* milliseconds, CUevent start, CUevent end) {
    (void)start, (void)end;
    *milliseconds = 1;
    return CUDA_SUCCESS;
}
API CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags) {
    (void)flags;
    note("wait %p for %p of %p", (void*)stream, (void*)event, (void*)event->recorded_on);
    if (event->captured && origin) {
        if (!is_captured(stream)) stream->captured = 1;
        if (stream != origin) stream->unjoined = 1;
        if (event->recorded_on != origin) event->recorded_on->unjoined = 0;
    } else if (is_captured(stream)) {
        note("waits for an event outside of the capture");
        return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
    }
    return CUDA_SUCCESS;
}

API int stand_in_begin_capture(CUstream stream) {
    origin = stream;
    stream->captured = 1;
    first = NULL, last = &first;
    return CUDA_SUCCESS;
}
API int stand_in_end_capture(void) {
    int unjoined = 0;
    for (CUstream s = streams; s; s = s->next) unjoined |= s->unjoined, s->captured = s->unjoined = 0;
    origin = NULL;
    return unjoined ? CUDA_ERROR_STREAM_CAPTURE_UNJOINED : CUDA_SUCCESS;
}
static void copy_3d(const CUDA_MEMCPY3D* copy);
API int stand_in_replay(void) {
    int count = 0;
    for (struct launch* l = first; l; l = l->next, count++)
        if (l->run)
            l->run(l->grid, l->block, l->buffer);
        else
            copy_3d(&l->copy);
    return count;
}

// -------------------------------------------------------------------------------------------------------- memory
struct block {
    CUdeviceptr start;
    size_t size;
    int device;
    struct block* next;
};
static struct block* blocks;
static size_t in_use[devices], most_in_use[devices];

static void take(int device, size_t size) {
    in_use[device] += size;
    if (most_in_use[device] < in_use[device]) most_in_use[device] = in_use[device];
}
// The most bytes that were in use since the last question.
API size_t stand_in_most_in_use(int device) {
    const size_t most = most_in_use[device];
    most_in_use[device] = in_use[device];
    return most;
}

static size_t capacity(void) {
    const char* bytes = getenv("OPALG_STAND_IN_MEMORY");
    return bytes ? strtoull(bytes, NULL, 10) : (size_t)4 << 30;
}
API CUresult cuDeviceTotalMem(size_t* bytes, CUdevice device) {
    return (void)device, *bytes = capacity(), CUDA_SUCCESS;
}
API CUresult cuMemGetInfo(size_t* available, size_t* total) {
    NEEDS_CONTEXT;
    *total = capacity();
    const size_t used = in_use[stack[depth - 1]->device];
    *available = used < *total ? *total - used : 0;  // tests make it smaller while it is in use
    return CUDA_SUCCESS;
}
API CUresult cuMemAlloc(CUdeviceptr* pointer, size_t size) {
    NEEDS_CONTEXT;
    FORBIDDEN_IN_CAPTURE;
    if (!size) return CUDA_ERROR_INVALID_VALUE;
    const int device = stack[depth - 1]->device;
    CUresult result = CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&lock);
    if (in_use[device] + size <= capacity()) {
        struct block* block = malloc(sizeof *block);
        void* memory = aligned_alloc(256, (size + 255) & ~(size_t)255);
        memset(memory, 0x7f, size);  // not zero: results must not rely on fresh memory
        *block = (struct block){(CUdeviceptr)memory, size, device, blocks};
        blocks = block;
        take(device, size);
        *pointer = block->start;
        result = CUDA_SUCCESS;
    }
    pthread_mutex_unlock(&lock);
    note("allocate %zu: %d", size, result);
    return result;
}
API CUresult cuMemFree(CUdeviceptr pointer) {
    FORBIDDEN_IN_CAPTURE;
    CUresult result = CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    for (struct block** b = &blocks; *b; b = &(*b)->next)
        if ((*b)->start == pointer) {
            struct block* gone = *b;
            *b = gone->next;
            in_use[gone->device] -= gone->size;
            note("free %zu", gone->size);
            free((void*)gone->start);
            free(gone);
            result = CUDA_SUCCESS;
            break;
        }
    pthread_mutex_unlock(&lock);
    return result;
}
API CUresult cuMemHostAlloc(void** pointer, size_t size, unsigned flags) {
    NEEDS_CONTEXT;
    (void)flags;
    FORBIDDEN_IN_CAPTURE;
    *pointer = aligned_alloc(256, (size + 255) & ~(size_t)255);
    return CUDA_SUCCESS;
}
API CUresult cuMemFreeHost(void* pointer) { return free(pointer), CUDA_SUCCESS; }
API CUresult cuMemHostRegister(void* pointer, size_t size, unsigned flags) {
    NEEDS_CONTEXT;
    (void)pointer, (void)size, (void)flags;
    FORBIDDEN_IN_CAPTURE;
    return CUDA_SUCCESS;
}
API CUresult cuMemHostUnregister(void* pointer) { return (void)pointer, CUDA_SUCCESS; }
API CUresult cuPointerGetAttribute(void* value, CUpointer_attribute attribute, CUdeviceptr pointer) {
    for (struct block* b = blocks; b; b = b->next)
        if (b->start <= pointer && pointer < b->start + b->size && attribute == CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL) {
            *(int*)value = b->device;
            return CUDA_SUCCESS;
        }
    // Memory of the tests, which take host arrays for device arrays, is on device 0.
    if (attribute == CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL) return *(int*)value = 0, CUDA_SUCCESS;
    return CUDA_ERROR_INVALID_VALUE;
}

static CUresult copy_bytes(CUdeviceptr to, CUdeviceptr from, size_t size) {
    NEEDS_CONTEXT;
    FORBIDDEN_IN_CAPTURE;
    memcpy((void*)to, (void*)from, size);
    return CUDA_SUCCESS;
}
API CUresult cuMemcpyHtoD(CUdeviceptr to, const void* from, size_t size) { return copy_bytes(to, (CUdeviceptr)from, size); }
API CUresult cuMemcpyDtoH(void* to, CUdeviceptr from, size_t size) { return copy_bytes((CUdeviceptr)to, from, size); }
API CUresult cuMemcpyDtoD(CUdeviceptr to, CUdeviceptr from, size_t size) { return copy_bytes(to, from, size); }
API CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void* from, size_t size, CUstream stream) {
    note("upload %zu on %p", size, (void*)stream);
    return copy_bytes(to, (CUdeviceptr)from, size);
}
API CUresult cuMemcpyDtoHAsync(void* to, CUdeviceptr from, size_t size, CUstream stream) {
    note("download %zu on %p", size, (void*)stream);
    return copy_bytes((CUdeviceptr)to, from, size);
}
API CUresult cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream) {
    return (void)stream, copy_bytes(to, from, size);
}
API CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
    NEEDS_CONTEXT;
    (void)stream;
    memset((void*)to, value, count);
    return CUDA_SUCCESS;
}
API CUresult cuMemsetD8(CUdeviceptr to, unsigned char value, size_t count) { return cuMemsetD8Async(to, value, count, NULL); }
API CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
    NEEDS_CONTEXT;
    (void)stream;
    for (size_t i = 0; i < count; i++) ((unsigned*)to)[i] = value;
    return CUDA_SUCCESS;
}
API CUresult cuMemsetD32(CUdeviceptr to, unsigned value, size_t count) { return cuMemsetD32Async(to, value, count, NULL); }

// ------------------------------------------------------------------------------------------- arrays and textures
// A texture handle is the address of what the kernels' host header reads: floats, whatever the array is made of.
struct CUarray_st {
    size_t width, height, depth, texel;
    unsigned flags;
    float* data;
    int device;
};
struct texture {
    const float* data;
    int64_t width, height, depth, layered;
    // Border or clamp, linear or nearest: the host header implements what opalg uses, border and linear.
};
API CUresult cuArray3DCreate(CUarray* array, const CUDA_ARRAY3D_DESCRIPTOR* d) {
    NEEDS_CONTEXT;
    FORBIDDEN_IN_CAPTURE;
    const size_t texel = d->Format == CU_AD_FORMAT_FLOAT ? 4 : d->Format == CU_AD_FORMAT_HALF ? 2 : 0;
    if (!texel || d->NumChannels != 1) return CUDA_ERROR_INVALID_VALUE;
    const struct CUarray_st made = {d->Width, d->Height ? d->Height : 1, d->Depth ? d->Depth : 1, texel, d->Flags, NULL,
                                    stack[depth - 1]->device};
    const size_t bytes = made.width * made.height * made.depth * made.texel;
    if (in_use[made.device] + bytes > capacity()) return CUDA_ERROR_OUT_OF_MEMORY;
    take(made.device, bytes);
    *array = malloc(sizeof **array);
    **array = made;
    (*array)->data = malloc(bytes / texel * sizeof(float));
    note("array %zu x %zu x %zu flags %u", made.width, made.height, made.depth, made.flags);
    return CUDA_SUCCESS;
}
API CUresult cuArrayDestroy(CUarray array) {
    in_use[array->device] -= array->width * array->height * array->depth * array->texel;
    free(array->data);
    free(array);
    return CUDA_SUCCESS;
}
static float texel_at(const char* address, size_t texel) {
    _Float16 half;
    float value;
    if (texel == sizeof half) return memcpy(&half, address, sizeof half), half;
    return memcpy(&value, address, sizeof value), value;
}
static void copy_3d(const CUDA_MEMCPY3D* c) {  // from a device into a whole array, which is all that opalg does
    const struct CUarray_st* to = c->dstArray;
    for (size_t z = 0; z < c->Depth; z++)
        for (size_t y = 0; y < c->Height; y++) {
            const char* from = (const char*)c->srcDevice + (z * c->srcHeight + y) * c->srcPitch;
            for (size_t x = 0; x < to->width; x++)
                to->data[(z * to->height + y) * to->width + x] = texel_at(from + x * to->texel, to->texel);
        }
}
API CUresult cuMemcpy3DAsync(const CUDA_MEMCPY3D* copy, CUstream stream) {
    NEEDS_CONTEXT;
    const CUarray to = copy->dstArray;
    if (copy->srcMemoryType != CU_MEMORYTYPE_DEVICE || copy->dstMemoryType != CU_MEMORYTYPE_ARRAY ||
        copy->WidthInBytes != to->width * to->texel || copy->Height > to->height || copy->Depth > to->depth)
        return CUDA_ERROR_INVALID_VALUE;
    note("copy 3D on %p", (void*)stream);
    if (is_captured(stream)) {
        struct launch* l = calloc(1, sizeof *l);
        l->copy = *copy;
        *last = l, last = &l->next;
    } else
        copy_3d(copy);
    return legacy_in_capture(stream);
}
API CUresult cuMemcpy3D(const CUDA_MEMCPY3D* copy) {
    FORBIDDEN_IN_CAPTURE;
    return cuMemcpy3DAsync(copy, NULL);
}
API CUresult cuTexObjectCreate(CUtexObject* handle, const CUDA_RESOURCE_DESC* resource, const CUDA_TEXTURE_DESC* texture,
                               const CUDA_RESOURCE_VIEW_DESC* view) {
    NEEDS_CONTEXT;
    if (resource->resType != CU_RESOURCE_TYPE_ARRAY || view) return CUDA_ERROR_INVALID_VALUE;
    for (int axis = 0; axis < 3; axis++)
        if (texture->addressMode[axis] != CU_TR_ADDRESS_MODE_BORDER) return CUDA_ERROR_INVALID_VALUE;
    if (texture->filterMode != CU_TR_FILTER_MODE_LINEAR || texture->flags) return CUDA_ERROR_INVALID_VALUE;
    const CUarray array = resource->res.array.hArray;
    struct texture* made = malloc(sizeof *made);
    *made = (struct texture){array->data, array->width, array->height, array->depth,
                             (array->flags & CUDA_ARRAY3D_LAYERED) != 0};
    *handle = (CUtexObject)(uintptr_t)made;
    note("texture of %zu x %zu x %zu", array->width, array->height, array->depth);
    return CUDA_SUCCESS;
}
API CUresult cuTexObjectDestroy(CUtexObject handle) { return free((void*)(uintptr_t)handle), CUDA_SUCCESS; }

// ------------------------------------------------------------------------------------------- modules and launches
static size_t length_of_elf(const unsigned char* image) {
    // The section headers of what a linker writes stand last.
    uint64_t offset;
    uint16_t size, count;
    memcpy(&offset, image + 40, 8);
    memcpy(&size, image + 58, 2);
    memcpy(&count, image + 60, 2);
    return offset + (size_t)size * count;
}
API CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned count, CUjit_option* options, void** values) {
    NEEDS_CONTEXT;
    (void)count, (void)options, (void)values;
    if (memcmp(image, "\177ELF", 4)) return CUDA_ERROR_INVALID_IMAGE;
    uint16_t machine;
    memcpy(&machine, (const char*)image + 18, 2);
    if (machine == 190) return CUDA_ERROR_NO_BINARY_FOR_GPU;  // for a real GPU
    const size_t length = length_of_elf(image);
    const int file = memfd_create("module", 0);
    if (write(file, image, length) != (ssize_t)length) return CUDA_ERROR_OUT_OF_MEMORY;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    // The descriptor stays open: the loader takes two modules of one path for the same.
    if (!*module) fprintf(stderr, "stand-in: %s\n", dlerror());
    note("load %zu bytes", length);
    return *module ? CUDA_SUCCESS : CUDA_ERROR_INVALID_IMAGE;
}
API CUresult cuModuleLoadData(CUmodule* module, const void* image) {
    return cuModuleLoadDataEx(module, image, 0, NULL, NULL);
}
API CUresult cuModuleUnload(CUmodule module) { return (void)module, note("unload"), CUDA_SUCCESS; }
API CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
    char symbol[160];
    snprintf(symbol, sizeof symbol, "%s__on_host_packed", name);
    Packed* run = (Packed*)dlsym(module, symbol);
    if (!run) return CUDA_ERROR_NOT_FOUND;
    *function = calloc(1, sizeof **function);
    (*function)->run = run;
    snprintf((*function)->name, sizeof(*function)->name, "%s", name);
    return CUDA_SUCCESS;
}
API CUresult cuFuncSetBlockShape(CUfunction f, int x, int y, int z) {
    return (void)f, x * y * z > 1024 || z > 64 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}
API CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction f) {
    return (void)attribute, (void)f, *value = 0, CUDA_SUCCESS;
}
API CUresult cuFuncSetAttribute(CUfunction f, CUfunction_attribute attribute, int value) {
    return (void)f, (void)attribute, (void)value, CUDA_SUCCESS;
}
API CUresult cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                            unsigned shared, CUstream stream, void** parameters, void** extra) {
    NEEDS_CONTEXT;
    if (!gx || !gy || !gz || gy > 65535 || gz > 65535 || gx > 0x7fffffffu || bx * by * bz > 1024 || bz > 64 || shared > 49152)
        return CUDA_ERROR_INVALID_VALUE;
    if (parameters || extra[0] != CU_LAUNCH_PARAM_BUFFER_POINTER) return CUDA_ERROR_INVALID_VALUE;
    struct launch l = {f->run, {gx, gy, gz}, {bx, by, bz}, *(size_t*)extra[3], extra[1], {0}, NULL};
    note("launch %s on %p device %d", f->name, (void*)stream, stack[depth - 1]->device);
    if (stream && stream > (CUstream)16 && stream->device != stack[depth - 1]->device) return CUDA_ERROR_INVALID_HANDLE;
    if (is_captured(stream)) {
        struct launch* kept = malloc(sizeof l);
        *kept = l;
        kept->buffer = malloc(l.size);
        memcpy(kept->buffer, l.buffer, l.size);
        *last = kept, last = &kept->next;
    } else
        l.run(l.grid, l.block, l.buffer);
    return legacy_in_capture(stream);
}

API CUresult cuGetErrorString(CUresult code, const char** text) {
    *text = code == CUDA_ERROR_INVALID_CONTEXT ? "invalid device context"
            : code == CUDA_ERROR_OUT_OF_MEMORY ? "out of memory"
            : code == CUDA_ERROR_STUB_LIBRARY  ? "not in the stand-in"
                                               : "error of the stand-in";
    return CUDA_SUCCESS;
}
API CUresult cuGetProcAddress(const char* name, void** function, int version, cuuint64_t flags,
                              CUdriverProcAddressQueryResult* status) {
    (void)version, (void)flags;
    char newer[128];
    *function = NULL;
    for (int v = 5; v > 1 && !*function; v--) {
        snprintf(newer, sizeof newer, "%s_v%d", name, v);
        *function = dlsym(RTLD_DEFAULT, newer);
    }
    if (!*function) *function = dlsym(RTLD_DEFAULT, name);
    if (status) *status = *function ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
