// How a kernel is reached from outside: a function that unpacks its arguments, and its signature.
#pragma once

#include <type_traits>
#include <utility>

// A scalar is written as kind and size (f4, i8, u1), a pointer as r: or w: before what it points to,
// a structure as s and its size. Vectors count as their elements.
template <class T>
struct EmulatorElement { using type = T; };
#define EMULATOR_ELEMENT(prefix, T) \
    template <> struct EmulatorElement<prefix##2> { using type = T; }; \
    template <> struct EmulatorElement<prefix##3> { using type = T; }; \
    template <> struct EmulatorElement<prefix##4> { using type = T; };
EMULATOR_ELEMENT(char, signed char)
EMULATOR_ELEMENT(uchar, unsigned char)
EMULATOR_ELEMENT(short, short)
EMULATOR_ELEMENT(ushort, unsigned short)
EMULATOR_ELEMENT(int, int)
EMULATOR_ELEMENT(uint, unsigned)
EMULATOR_ELEMENT(longlong, long long)
EMULATOR_ELEMENT(ulonglong, unsigned long long)
EMULATOR_ELEMENT(float, float)
EMULATOR_ELEMENT(double, double)

template <class T>
char* emulator_describe(char* to) {
    if constexpr (std::is_pointer_v<T>) {
        using Target = std::remove_pointer_t<T>;
        *to++ = std::is_const_v<Target> ? 'r' : 'w';
        *to++ = ':';
        return emulator_describe<std::remove_cv_t<Target>>(to);
    } else {
        using Element = typename EmulatorElement<T>::type;
        if constexpr (std::is_same_v<Element, bool>) *to++ = 'b';
        else if constexpr (std::is_floating_point_v<Element>) *to++ = 'f';
        else if constexpr (std::is_integral_v<Element>) *to++ = std::is_signed_v<Element> ? 'i' : 'u';
        else return to + sprintf(to, "s%zu", sizeof(T));  // a structure, by its size
        *to++ = '0' + sizeof(Element);
        return to;
    }
}

template <class... Args>
const char* emulator_signature(void (*)(Args...)) {
    static char text[12 * sizeof...(Args) + 1];
    char* end = text;
    ((end = emulator_describe<std::remove_cv_t<Args>>(end), *end++ = ' '), ...);
    *end = 0;
    return text;
}

template <class... Args, size_t... I>
EMULATOR_PLAIN inline void emulator_apply(void (*kernel)(Args...), void** args, std::index_sequence<I...>) {
    kernel(*static_cast<std::remove_cv_t<Args>*>(args[I])...);
}
template <class... Args>
EMULATOR_PLAIN inline void emulator_call(void (*kernel)(Args...), void** args) {
    emulator_apply(kernel, args, std::index_sequence_for<Args...>{});
}

#define EMULATOR_EXPORT extern "C" EMULATOR_PLAIN __attribute__((visibility("default")))
#define EMULATOR_KERNEL(number, ...) \
    EMULATOR_EXPORT void emulator_run_##number(void** args) { emulator_call(__VA_ARGS__, args); } \
    EMULATOR_EXPORT const char* emulator_signature_##number() { return emulator_signature(__VA_ARGS__); }

// ---------------------------------------------------------------- left over from host code

// What <<<launches>>> become: the host code of a file compiles, and is never run.
template <class... Args>
inline void emulator_no_launch(Args&&...) {}
