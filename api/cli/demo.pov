// The demo's scene: a wave runs through columns below a glass sphere, in a loop of twelve frames.
#version 3.7;
global_settings { assumed_gamma 1.0 max_trace_level 6 }

// clock runs 0..1 over frames 1..12; eleven twelfths of a turn, so that frame 12 leads back to 1.
#declare Turn = 2 * pi * clock * 11 / 12;

camera {
  location <3.2 + 0.7 * sin(Turn), 4.6, -9.4>
  look_at <0, 0.95, 0>
  right x * image_width / image_height
  angle 50
}

light_source { <-9, 12, -8> rgb <1.0, 0.88, 0.72> * 1.1 }
light_source { <10, 6, 4> rgb <0.25, 0.42, 0.95> * 0.8 shadowless }

sky_sphere {
  pigment {
    gradient y
    color_map {
      [0.00 rgb <0.93, 0.38, 0.20>]
      [0.12 rgb <0.52, 0.16, 0.34>]
      [0.45 rgb <0.09, 0.07, 0.22>]
      [1.00 rgb <0.01, 0.01, 0.05>]
    }
  }
}

plane {
  y, 0
  pigment { rgb <0.015, 0.018, 0.035> }
  finish { ambient 0 diffuse 0.6 reflection { 0.08, 0.45 fresnel on } conserve_energy specular 0.2 }
  interior { ior 1.45 }
}

// Warm at the crest, cold in the trough.
#declare Tint = function(h) { min(max(h, 0), 1) }
#macro Column(X, Z)
  #local D = sqrt(X * X + Z * Z);
  #local Wave = 0.5 + 0.5 * sin(1.35 * D - Turn);
  #local Fade = exp(-0.055 * D * D);
  #local H = 0.14 + 1.25 * Wave * Fade;
  #local T = Tint(Wave * (0.35 + 0.65 * Fade));
  union {
    cylinder { <X, 0, Z>, <X, H, Z>, 0.25 }
    sphere { <X, H, Z>, 0.25 }
    pigment { rgb <0.01, 0.10, 0.28> * (1 - T) + <1.0, 0.16, 0.02> * T }
    finish { ambient 0.03 diffuse 0.75 specular 0.5 roughness 0.015 reflection 0.06 }
  }
#end

union {
  #for (I, -5, 5)
    #for (J, -5, 5)
      #if (I * I + J * J < 30) Column(0.66 * I, 0.66 * J) #end
    #end
  #end
}

sphere {
  <0, 2.45 + 0.14 * sin(Turn), 0>, 0.82
  pigment { rgbt <0.97, 0.99, 1.0, 0.92> }
  finish {
    ambient 0 diffuse 0.03 specular 0.9 roughness 0.002
    reflection { 0.05, 0.9 fresnel on } conserve_energy
  }
  interior { ior 1.5 }
}

// A ring of small lights circles the sphere.
#for (I, 0, 11)
  #local A = Turn + I * pi / 6;
  sphere {
    <1.45 * cos(A), 2.45 + 0.30 * sin(2 * A), 1.45 * sin(A)>, 0.07
    pigment { rgb <1.0, 0.72, 0.30> }
    finish { ambient 0 diffuse 0 emission 1.1 }
    no_shadow
  }
#end
